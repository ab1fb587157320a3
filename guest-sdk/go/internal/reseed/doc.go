package reseed
