//go:build wasip1

package reseed

import (
	"math/rand/v2"
	"unsafe"

	"exomonad/internal/abi"
)

// The host initialises a module once, and every sandbox starts from a copy of its memory. Go's runtime draws the
// seed of its generator at its start, so every sandbox would draw the same numbers from math/rand and
// math/rand/v2. Exporting exomonad_reseed promises that this does not happen: the host calls it in each sandbox
// made from the copy, before anything else.
//
// The generator (ChaCha8) belongs to the runtime, which has no way to seed it anew. So it is looked for in the
// runtime's memory while the module is initialised, and what was found is put to the test: it has to give out
// the numbers that it is seeded with. A future runtime that has it otherwise fails the test. Then the
// configuration is read, which ends the host's attempt to take a copy: every sandbox initialises itself.

// state is a chacha8rand.State of Go's standard library.
type state struct {
	buffer  [32]uint64
	seed    [4]uint64
	next    uint32
	end     uint32
	counter uint32
}

// generator is the runtime's generator; nil if it was not found.
var generator = find()

func init() {
	if generator == nil {
		abi.Config("exomonad.no-snapshot")
	}
}

// reseed is the export exomonad_reseed.
//
//go:wasmexport exomonad_reseed
func reseed() {
	if generator != nil {
		var seed [4]uint64
		if randomGet(unsafe.Pointer(&seed), uint32(unsafe.Sizeof(seed))) != 0 {
			panic("the host gives no random bytes")
		}
		generator.begin(seed)
	}
}

// begin lets the next number be the first of a seed.
func (s *state) begin(seed [4]uint64) {
	s.seed = seed
	s.counter = 0
	s.next = s.end
}

//go:wasmimport wasi_snapshot_preview1 random_get
//go:noescape
func randomGet(buffer unsafe.Pointer, length uint32) uint32

// currentG is the runtime's g of this goroutine.
func currentG() uintptr

// memoryPages is the size of the memory, in pages of 64 KiB.
func memoryPages() uint32

const (
	// The m of a goroutine is among the first words of its g,
	wordsOfG = 64
	// and the generator within its m.
	bytesOfM = 8192
)

// find finds the generator: it is in the m that the g points to.
func find() *state {
	g, size := currentG(), uintptr(memoryPages())<<16
	for word := uintptr(0); word < wordsOfG; word++ {
		candidate := load(g + 8*word)
		if candidate == 0 || candidate%8 != 0 || candidate+bytesOfM+unsafe.Sizeof(state{}) > size {
			continue
		}
		for at := candidate; at < candidate+bytesOfM; at += 8 {
			if found := stateAt(at); found.hasDrawn() && found.obeys() {
				return found
			}
		}
	}
	return nil
}

// hasDrawn tells if this looks like a generator that has given out the last three numbers, drawn now.
func (s *state) hasDrawn() bool {
	if s.end > 32 || s.end < 3 || s.next > s.end {
		return false
	}
	// At the end of its buffer it makes new numbers, which may part the three.
	for range 2 {
		first, second, third := rand.Uint64(), rand.Uint64(), rand.Uint64()
		if next := s.next; next >= 3 && next <= 32 &&
			s.buffer[next-3] == first && s.buffer[next-2] == second && s.buffer[next-1] == third {
			return true
		}
	}
	return false
}

// obeys tells if equal seeds give equal numbers, and others do not. The state is as before then.
func (s *state) obeys() bool {
	before := *s
	draw := func(seed uint64) (numbers [40]uint64) {
		s.begin([4]uint64{seed, 2, 3, 4})
		for at := range numbers {
			numbers[at] = rand.Uint64()
		}
		return numbers
	}
	one, again, other := draw(1), draw(1), draw(5)
	*s = before
	same := 0
	for at := range one {
		if one[at] == other[at] {
			same++
		}
	}
	return one == again && same == 0
}

// The addresses are the runtime's, in memory that never moves: neither is Go's own to collect.
func stateAt(address uintptr) *state { return (*state)(*(*unsafe.Pointer)(unsafe.Pointer(&address))) }

func load(address uintptr) uintptr { return *(*uintptr)(*(*unsafe.Pointer)(unsafe.Pointer(&address))) }
