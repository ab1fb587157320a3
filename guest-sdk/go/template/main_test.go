package main

import (
	"testing"

	"exomonad"
	"exomonad/exomonadtest"
)

func TestAGreetingNamesTheBranch(t *testing.T) {
	host := exomonadtest.NewHost(t)
	exomonadtest.On(host, func(exomonad.GitGetBranch) (exomonad.GitBranch, error) {
		return exomonad.GitBranch{Head: exomonad.GitHeadBranch, Branch: exomonad.Ptr("main")}, nil
	})
	greeting, err := greet(exomonadtest.Context(), GreetArgs{Name: "Ada"})
	if err != nil || greeting.Text != "Hello Ada on main" {
		t.Error(greeting, err)
	}
}
