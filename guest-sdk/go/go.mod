module exomonad

go 1.24
