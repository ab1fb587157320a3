package exomonadtest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"exomonad"
)

// answerByDefault is the host's own answer to an effect; nil if it has none.
func (h *Host) answerByDefault(function string, request []byte) []byte {
	switch function {
	case "log", "emit_event", "mcp_progress", "mcp_log", "mcp_notify":
		return done()
	case "mcp_get_client":
		return success([]byte("{}"))
	case "kv_get":
		value, found := h.kv[decoded[exomonad.KvGet](h, function, request).Key]
		return encode(exomonad.KvEntry{Found: found, Value: value}, nil)
	case "kv_set":
		set := decoded[exomonad.KvSet](h, function, request)
		h.kv[set.Key] = set.Value
		return done()
	case "kv_delete":
		key := decoded[exomonad.KvDelete](h, function, request).Key
		_, existed := h.kv[key]
		delete(h.kv, key)
		return encode(exomonad.KvDeleted{Existed: existed}, nil)
	case "kv_list":
		return encode(h.listKeys(decoded[exomonad.KvList](h, function, request)), nil)
	case "clock_now":
		return encode(exomonad.ClockTime{
			UnixMillis:     h.now.UnixMilli(),
			ISO8601:        h.now.UTC().Format("2006-01-02T15:04:05.000Z"),
			MonotonicNanos: uint64(max(h.now.UnixMilli(), 0)) * 1_000_000,
		}, nil)
	case "sleep":
		millis := decoded[exomonad.Sleep](h, function, request).Millis
		h.now = h.now.Add(time.Duration(millis) * time.Millisecond)
		return done()
	case "random_bytes":
		bytes := make([]byte, decoded[exomonad.RandomBytes](h, function, request).Length)
		for at := range bytes {
			// The same bytes in every run (SplitMix64).
			h.random += 0x9E37_79B9_7F4A_7C15
			bytes[at] = byte((h.random ^ h.random>>30) * 0xBF58_476D_1CE4_E5B9 >> 56)
		}
		return encode(exomonad.RandomBytesAnswer{Bytes: bytes}, nil)
	case "workflow_start", "workflow_wait", "workflow_cancel", "workflow_sleep", "workflow_set_state",
		"workflow_patched", "workflow_info":
		return failure(exomonad.ErrorCodeUnsupported, function+" is for workflows; Host.RunWorkflow runs one")
	}
	return nil
}

func (h *Host) listKeys(about exomonad.KvList) exomonad.KvKeys {
	limit := 100
	if about.Limit != nil {
		limit = int(*about.Limit)
	}
	page := exomonad.KvKeys{Keys: []string{}}
	for _, key := range slices.Sorted(maps.Keys(h.kv)) {
		if !strings.HasPrefix(key, about.Prefix) || (about.After != nil && key <= *about.After) {
			continue
		}
		if len(page.Keys) == limit {
			page.Next = &page.Keys[limit-1]
			break
		}
		page.Keys = append(page.Keys, key)
	}
	return page
}
