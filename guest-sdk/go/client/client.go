// Package client is the client that made the call: what most plugins say to it, and ask it. The package mcp does
// all that there is.
//
// A plugin that asks may be run again when the answer is there, up to the question; effects are not performed
// again.
package client

import (
	"encoding/json"
	"fmt"
	"strings"

	"exomonad"
	"exomonad/mcp"
)

// Progress reports how far the call is.
func Progress(progress, total uint64) error {
	_, err := mcp.Progress(exomonad.McpProgress{Progress: progress, Total: &total})
	return err
}

// Log sends a line of the log to the client.
func Log(level exomonad.McpLogLevel, line string) error {
	data, err := exomonad.ToJSON(line)
	if err != nil {
		return err
	}
	_, err = mcp.Log(exomonad.McpLog{Level: level, Data: data})
	return err
}

// Elicit asks the person to fill in a form, whose fields are those of a struct: texts, numbers, booleans, choices.
// It is nil if they do not want to.
func Elicit[Form any](message string) (*Form, error) { return ElicitAs[Form]("", message) }

// ElicitAs is Elicit with a name for the question.
func ElicitAs[Form any](key, message string) (*Form, error) {
	request := exomonad.McpElicit{Message: message, Form: exomonad.SchemaOf[Form]()}
	if key != "" {
		request.Key = &key
	}
	asked, err := mcp.Elicit(request)
	if err != nil || asked.Action != exomonad.McpElicitActionAccept || asked.Content == nil {
		return nil, err
	}
	form := new(Form)
	if err := json.Unmarshal(asked.Content, form); err != nil {
		return nil, &exomonad.EffectError{
			Code:    exomonad.ErrorCodeValidation,
			Message: fmt.Sprintf("the person's answer does not fit the form: %v", err),
		}
	}
	return form, nil
}

// Sample asks the client's model.
func Sample(prompt string, maxTokens uint64) (string, error) {
	sampled, err := mcp.Sample(exomonad.McpSample{
		MaxTokens: maxTokens,
		Messages: []exomonad.McpSamplingMessage{{
			Role: exomonad.MessageRoleUser,
			Content: []exomonad.McpSamplingContent{
				exomonad.McpSamplingContentContent{Payload: exomonad.ContentText{Text: prompt}},
			},
		}},
	})
	if err != nil {
		return "", err
	}
	var texts []string
	for _, part := range sampled.Content {
		if content, ok := part.(exomonad.McpSamplingContentContent); ok {
			if text, ok := content.Payload.(exomonad.ContentText); ok {
				texts = append(texts, text.Text)
			}
		}
	}
	return strings.Join(texts, "\n"), nil
}
