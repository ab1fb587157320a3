package main

import (
	"testing"
	"time"

	"exomonad"
	"exomonad/exomonadtest"
)

func TestTheWorkflowGreetsWhenItIsToldTo(t *testing.T) {
	host := exomonadtest.NewHost(t)
	host.SignalAt(time.Hour, "go", "how are you")
	ended := host.RunWorkflow(plugin, "greet", Greet{Name: "Ada"})
	var text Text
	ended.Output(&text)
	if text.Text != "Hello Ada, how are you" || string(host.KV("greeted")) != `"Ada"` || ended.Elapsed != time.Hour {
		t.Error(text, host.Functions(), ended.Elapsed)
	}
	var stage string
	if err := host.Query(plugin, "greet", "stage", nil, Stage{"begun"}, &stage); err != nil || stage != "begun" {
		t.Error(stage, err)
	}
	var state Stage
	if err := host.Migrate(plugin, "greet", 1, "begun", &state); err != nil || state.Stage != "begun" {
		t.Error(state, err)
	}
}

func TestValuesAndEffectsAreFoundByName(t *testing.T) {
	host := exomonadtest.NewHost(t)
	host.SetKV("a", 1<<53+1)
	result := host.CallTool(plugin, "perform", map[string]any{"function": "kv_get", "request": exomonad.KvGet{Key: "a"}})
	if string(result.StructuredContent) != `{"answer":{"found":true,"value":9007199254740993}}` {
		t.Errorf("%s", result.StructuredContent)
	}
	result = host.CallTool(plugin, "round_trip", map[string]any{"kind": "HttpMethod", "values": []string{"GET", "GOT"}})
	if text := result.Content[0].(exomonad.ContentText).Text; text != `value 1: $: "GOT" is no HttpMethod` {
		t.Error(text)
	}
}
