// Package reseed renews Go's random numbers in each sandbox. Natively there is nothing to do.
package reseed
