// Package prompt has prompts: messages that people begin with. Importing it exports the entry points of prompts
// from the plugin.
//
//	Prompts: []exomonad.PromptEntry{
//		prompt.New("greet", "Greets someone.", greet, prompt.Complete("name", names)),
//	},
package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"exomonad"
	"exomonad/internal/complete"
	"exomonad/internal/wire"
)

// Messages are what a prompt gives: a text of the person, messages, or a result made by hand.
type Messages interface {
	string | []exomonad.PromptMessage | exomonad.GetPromptResult
}

// Option is something more about a prompt.
type Option func(*exomonad.PromptEntry)

// Title is a display name for people.
func Title(title string) Option {
	return func(entry *exomonad.PromptEntry) { entry.Prompt.Title = &title }
}

// Icons are pictures for people, the best first.
func Icons(icons ...exomonad.Icon) Option {
	return func(entry *exomonad.PromptEntry) { entry.Prompt.Icons = icons }
}

// Complete completes an argument.
func Complete(argument string, completer exomonad.Completer) Option {
	return func(entry *exomonad.PromptEntry) {
		if entry.Complete == nil {
			entry.Complete = map[string]exomonad.Completer{}
		}
		entry.Complete[argument] = completer
	}
}

// New makes a prompt of a function. The arguments are a struct whose fields are strings, or pointers to
// strings for those that may be left out; a prompt that takes none has struct{}. The tags are those of
// [exomonad.SchemaOf].
func New[Arguments any, M Messages](
	name, description string,
	get func(exomonad.Context, Arguments) (M, error),
	options ...Option,
) exomonad.PromptEntry {
	entry := exomonad.PromptEntry{
		Prompt: exomonad.Prompt{
			Name:        name,
			Description: &description,
			Arguments:   argumentsOf(reflect.TypeFor[Arguments]()),
		},
	}
	for _, option := range options {
		option(&entry)
	}
	known := entry.Prompt.Arguments
	entry.Get = func(context exomonad.Context, texts map[string]string) (exomonad.GetPromptResult, error) {
		var arguments Arguments
		if err := decode(known, texts, &arguments); err != nil {
			return exomonad.GetPromptResult{}, &exomonad.EffectError{
				Code:    exomonad.ErrorCodeInvalidInput,
				Message: "the arguments do not fit: " + err.Error(),
			}
		}
		messages, err := get(context, arguments)
		if err != nil {
			return exomonad.GetPromptResult{}, err
		}
		return result(messages), nil
	}
	return entry
}

func argumentsOf(ty reflect.Type) []exomonad.PromptArgument {
	if ty.Kind() != reflect.Struct {
		panic(fmt.Sprintf("the arguments of a prompt are a struct, and %v is none", ty))
	}
	var arguments []exomonad.PromptArgument
	for at := range ty.NumField() {
		field := ty.Field(at)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		isText := field.Type.Kind() == reflect.String
		isOptional := field.Type.Kind() == reflect.Pointer && field.Type.Elem().Kind() == reflect.String
		if !isText && !isOptional {
			panic(fmt.Sprintf("the argument %s of a prompt is no string", name))
		}
		argument := exomonad.PromptArgument{
			Name:     name,
			Required: isText && !strings.Contains(options, "omitempty"),
		}
		if text, ok := field.Tag.Lookup("jsonschema"); ok {
			argument.Description = &text
		}
		arguments = append(arguments, argument)
	}
	return arguments
}

func decode(known []exomonad.PromptArgument, texts map[string]string, arguments any) error {
	for _, argument := range known {
		if _, given := texts[argument.Name]; argument.Required && !given {
			return errors.New("`" + argument.Name + "` is missing")
		}
	}
	encoded, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, arguments)
}

func result(messages any) exomonad.GetPromptResult {
	switch messages := messages.(type) {
	case exomonad.GetPromptResult:
		return messages
	case []exomonad.PromptMessage:
		return exomonad.GetPromptResult{Messages: messages}
	case string:
		return exomonad.GetPromptResult{Messages: []exomonad.PromptMessage{User(messages)}}
	}
	return exomonad.GetPromptResult{}
}

// User is a text of the person.
func User(text string) exomonad.PromptMessage {
	return exomonad.PromptMessage{
		Role:    exomonad.MessageRoleUser,
		Content: exomonad.ContentText{Text: text},
	}
}

// Assistant is a text of the model.
func Assistant(text string) exomonad.PromptMessage {
	return exomonad.PromptMessage{
		Role:    exomonad.MessageRoleAssistant,
		Content: exomonad.ContentText{Text: text},
	}
}

// HandleList is the export handle_list_prompts, to a ListPromptsResult in one page.
func HandleList(plugin *exomonad.Plugin, _ []byte) ([]byte, error) {
	var result exomonad.ListPromptsResult
	for _, entry := range plugin.Prompts {
		result.Prompts = append(result.Prompts, entry.Prompt)
	}
	return wire.Encode(result)
}

// HandleGet is the export handle_get_prompt: from a GetPromptInput to a GetPromptResult.
func HandleGet(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.GetPromptInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	return wire.Encode(Get(plugin, about))
}

// Get gives the messages of a prompt. A failure is in the result.
func Get(plugin *exomonad.Plugin, about exomonad.GetPromptInput) exomonad.GetPromptResult {
	for _, entry := range plugin.Prompts {
		if entry.Prompt.Name != about.Name {
			continue
		}
		result, err := entry.Get(about.Context, about.Arguments)
		if err != nil {
			return exomonad.GetPromptResult{Error: exomonad.FailureOf(err)}
		}
		if result.Description == nil {
			result.Description = entry.Prompt.Description
		}
		return result
	}
	return exomonad.GetPromptResult{Error: &exomonad.EffectError{
		Code:    exomonad.ErrorCodeNotFound,
		Message: fmt.Sprintf("there is no prompt `%s`", about.Name),
	}}
}

// Completed is for tests: what a person is shown.
func Completed(plugin *exomonad.Plugin, about exomonad.CompleteInput) exomonad.CompleteResult {
	return complete.Complete(plugin, about)
}
