module contract

go 1.24

require exomonad v0.0.0

replace exomonad => ../../guest-sdk/go
