package web

import (
	"hash/fnv"
	"strings"
)

// Colours of states: class cN in the style sheet, and for the programs that draw what DOT says. A
// colour never stands alone: the name of the state is beside it.
var fills = []string{
	"#e4e7eb", // c0: unknown, none
	"#cfead6", // c1: done
	"#f6cfcc", // c2: failed
	"#cfe0f8", // c3: running
	"#f6e6c2", // c4: waiting
	"#e3d6f5", // c5 to c8: any other
	"#c9ebec",
	"#f7d9e8",
	"#dfe6bd",
}

// known are words that programs name states with, by the number of their colour.
var known = map[string]int{
	"": 0, "UNKNOWN": 0,
	"DONE": 1, "SUCCESS": 1, "SUCCEEDED": 1, "COMPLETED": 1, "COMPLETE": 1, "FINISHED": 1, "TERMINATED": 1, "OK": 1, "PASSED": 1, "INSTALLED": 1,
	"FAILED": 2, "FAILURE": 2, "ERROR": 2, "DEAD": 2, "KILLED": 2, "ABORTED": 2, "BROKEN": 2, "TIMEOUT": 2, "CANCELLED": 2, "CANCELED": 2,
	"RUNNING": 3, "ACTIVE": 3, "STARTED": 3, "EXECUTING": 3, "CLAIMED": 3, "PROCESSING": 3, "INPROGRESS": 3,
	"NEW": 4, "READY": 4, "SUBMITTED": 4, "QUEUED": 4, "PENDING": 4, "WAITING": 4, "SCHEDULED": 4, "BLOCKED": 4, "STOPPED": 4, "PAUSED": 4, "RETRY": 4,
}

var wordBreaks = strings.NewReplacer("_", "", "-", "", " ", "")

// colour returns the number of the colour of a state: the same for the same state, always.
func colour(state string) int {
	word := strings.ToUpper(wordBreaks.Replace(state))
	if n, ok := known[word]; ok {
		return n
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(word))
	return 5 + int(h.Sum32()%uint32(len(fills)-5))
}

// colourClass returns the class of the colour of a state.
func colourClass(state string) string { return "c" + string(rune('0'+colour(state))) }
