package main

import (
	"exomonad"
	"exomonad/git"
)

var plugin = exomonad.Register(exomonad.Plugin{
	Name:    "{{name}}",
	Version: "0.1.0",
	Tools: []exomonad.ToolEntry{
		exomonad.NewTool("greet", "Greets someone, with the current branch.", greet, exomonad.ReadOnly()),
	},
})

// main is not called: the host calls the tools.
func main() {}

// GreetArgs are the arguments of greet.
type GreetArgs struct {
	Name string `json:"name" jsonschema:"Whom to greet." minLength:"1"`
}

// Greeting is a greeting.
type Greeting struct {
	Text string `json:"text" jsonschema:"The greeting."`
}

func greet(_ exomonad.Context, args GreetArgs) (Greeting, error) {
	found, err := git.GetBranch(exomonad.GitGetBranch{})
	if err != nil {
		return Greeting{}, err
	}
	place := "nowhere"
	if found.Branch != nil {
		place = *found.Branch
	}
	return Greeting{Text: "Hello " + args.Name + " on " + place}, nil
}
