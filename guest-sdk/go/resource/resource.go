// Package resource has resources: what MCP clients read. Importing it exports the entry points of resources
// from the plugin.
//
//	Resources: []exomonad.ResourceEntry{
//		resource.New("notes://first", "first", "The first note.", first),
//		resource.Template("notes://{name}", "note", "A note.", note, resource.Complete("name", names)),
//	},
package resource

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"exomonad"
	"exomonad/internal/complete"
	"exomonad/internal/wire"
)

// Content is what a resource has: a text, bytes, JSON, or contents made by hand.
type Content interface {
	string | []byte | json.RawMessage | exomonad.ReadResourceResult
}

// Variables are the variables of a template, by name.
type Variables = map[string]string

// Option is something more about a resource.
type Option func(*exomonad.ResourceEntry)

// Title is a display name for people.
func Title(title string) Option {
	return func(entry *exomonad.ResourceEntry) { entry.Resource.Title = &title }
}

// MimeType is the media type. Without it a text is text/plain, JSON is application/json, and bytes are
// application/octet-stream.
func MimeType(mimeType string) Option {
	return func(entry *exomonad.ResourceEntry) { entry.Resource.MimeType = &mimeType }
}

// Icons are pictures for people, the best first.
func Icons(icons ...exomonad.Icon) Option {
	return func(entry *exomonad.ResourceEntry) { entry.Resource.Icons = icons }
}

// List lists the resources of a template that there are.
func List(list func(exomonad.Context) ([]exomonad.Resource, error)) Option {
	return func(entry *exomonad.ResourceEntry) { entry.List = list }
}

// Complete completes a variable of a template.
func Complete(variable string, completer exomonad.Completer) Option {
	return func(entry *exomonad.ResourceEntry) {
		if entry.Complete == nil {
			entry.Complete = map[string]exomonad.Completer{}
		}
		entry.Complete[variable] = completer
	}
}

// New makes a resource of a function that reads it.
func New[C Content](
	uri, name, description string,
	read func(exomonad.Context) (C, error),
	options ...Option,
) exomonad.ResourceEntry {
	return newEntry(uri, name, description, func(context exomonad.Context, _ Variables) (C, error) {
		return read(context)
	}, options)
}

// Template makes resources of a template of URIs, such as `notes://{name}` (RFC 6570; also `{+path}`, which may have
// slashes), and a function that reads one by its variables. One that does not exist is an
// [exomonad.EffectError] with the code `not_found`, see [NotFound].
func Template[C Content](
	template, name, description string,
	read func(exomonad.Context, Variables) (C, error),
	options ...Option,
) exomonad.ResourceEntry {
	made := newEntry(template, name, description, read, options)
	made.Template = template
	return made
}

func newEntry[C Content](
	uri, name, description string,
	read func(exomonad.Context, Variables) (C, error),
	options []Option,
) exomonad.ResourceEntry {
	made := exomonad.ResourceEntry{
		Resource: exomonad.Resource{URI: uri, Name: name, Description: &description},
	}
	for _, option := range options {
		option(&made)
	}
	mimeType := made.Resource.MimeType
	made.Read = func(context exomonad.Context, uri string, variables Variables) (exomonad.ReadResourceResult, error) {
		content, err := read(context, variables)
		if err != nil {
			return exomonad.ReadResourceResult{}, err
		}
		return whole(uri, mimeType, content), nil
	}
	return made
}

func whole(uri string, mimeType *string, content any) exomonad.ReadResourceResult {
	whole := exomonad.EmbeddedResource{URI: uri, MimeType: mimeType}
	of := func(mimeType string) {
		if whole.MimeType == nil {
			whole.MimeType = &mimeType
		}
	}
	switch content := content.(type) {
	case exomonad.ReadResourceResult:
		return content
	case string:
		whole.Text = &content
		of("text/plain")
	case json.RawMessage:
		whole.Text = exomonad.Ptr(string(content))
		of("application/json")
	case []byte:
		whole.Blob = content
		if content == nil {
			whole.Blob = []byte{}
		}
		of("application/octet-stream")
	}
	return exomonad.ReadResourceResult{Contents: []exomonad.EmbeddedResource{whole}}
}

// NotFound is the error for a resource that does not exist.
func NotFound(uri string) error {
	return &exomonad.EffectError{
		Code:    exomonad.ErrorCodeNotFound,
		Message: fmt.Sprintf("there is no resource `%s`", uri),
	}
}

// HandleList is the export handle_list_resources: from a ListResourcesInput to a ListResourcesResult, in one page.
func HandleList(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.ListResourcesInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	result := exomonad.ListResourcesResult{}
	for _, entry := range plugin.Resources {
		switch {
		case entry.List != nil:
			listed, err := entry.List(about.Context)
			if err != nil {
				return wire.Encode(exomonad.ListResourcesResult{Error: exomonad.FailureOf(err)})
			}
			result.Resources = append(result.Resources, listed...)
		case entry.Template == "":
			result.Resources = append(result.Resources, entry.Resource)
		}
	}
	return wire.Encode(result)
}

// HandleListTemplates is the export handle_list_resource_templates, to a ListResourceTemplatesResult in one page.
func HandleListTemplates(plugin *exomonad.Plugin, _ []byte) ([]byte, error) {
	result := exomonad.ListResourceTemplatesResult{}
	for _, entry := range plugin.Resources {
		if entry.Template != "" {
			common := entry.Resource
			result.ResourceTemplates = append(result.ResourceTemplates, exomonad.ResourceTemplate{
				URITemplate: entry.Template, Name: common.Name, Title: common.Title,
				Description: common.Description, MimeType: common.MimeType, Icons: common.Icons,
			})
		}
	}
	return wire.Encode(result)
}

// HandleRead is the export handle_read_resource: from a ReadResourceInput to a ReadResourceResult.
func HandleRead(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.ReadResourceInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	return wire.Encode(Read(plugin, about))
}

// Read reads a resource: by its own entry, or else by the first template that fits. A failure is in the result.
func Read(plugin *exomonad.Plugin, about exomonad.ReadResourceInput) exomonad.ReadResourceResult {
	failure := NotFound(about.URI)
	for _, templates := range []bool{false, true} {
		for _, entry := range plugin.Resources {
			variables, fits := Variables(nil), entry.Resource.URI == about.URI
			if templates {
				variables, fits = match(entry.Template, about.URI)
			}
			if (entry.Template != "") != templates || !fits {
				continue
			}
			result, err := entry.Read(about.Context, about.URI, variables)
			if err == nil {
				return result
			}
			return exomonad.ReadResourceResult{Error: exomonad.FailureOf(err)}
		}
	}
	return exomonad.ReadResourceResult{Error: exomonad.FailureOf(failure)}
}

// Completed is for tests: what a client is shown.
func Completed(plugin *exomonad.Plugin, about exomonad.CompleteInput) exomonad.CompleteResult {
	return complete.Complete(plugin, about)
}

// match finds the variables by which a template becomes this URI.
func match(template, uri string) (Variables, bool) {
	variables := Variables{}
	for {
		text, after, has := strings.Cut(template, "{")
		if !strings.HasPrefix(uri, text) {
			return nil, false
		}
		uri = uri[len(text):]
		if !has {
			return variables, uri == ""
		}
		expression, rest, closed := strings.Cut(after, "}")
		if !closed {
			return nil, false
		}
		template = rest
		// The text that comes next ends the variable.
		next, _, _ := strings.Cut(rest, "{")
		length := len(uri)
		if next != "" {
			if length = strings.Index(uri, next); length < 0 {
				return nil, false
			}
		}
		value := uri[:length]
		uri = uri[length:]
		name, mayHaveParts := strings.CutPrefix(expression, "+")
		if value == "" || (!mayHaveParts && strings.Contains(value, "/")) {
			return nil, false
		}
		decoded, err := url.PathUnescape(value)
		if err != nil || strings.ToValidUTF8(decoded, "") != decoded {
			return nil, false
		}
		variables[name] = decoded
	}
}
