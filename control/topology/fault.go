package topology

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// Fault is one thing wrong in a description.
type Fault struct {
	File string
	Line int // from 1; 0 when the whole file is meant
	Col  int // in characters, from 1; 0 when not known
	Text string
}

// String prints "file:line:col: text", without the numbers that are not known.
func (f Fault) String() string {
	switch {
	case f.Line == 0:
		return f.File + ": " + f.Text
	case f.Col == 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Text)
}

// Faults is every fault of a description, sorted by place.
type Faults []Fault

// maxFaults bounds the listing of a file that is wrong throughout.
const maxFaults = 10_000

// Error prints one fault per line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// report collects faults by byte offset and turns them into places at the end.
type report struct {
	file string
	data []byte
	all  []offsetFault
	more int // faults beyond maxFaults

	starts []int // offset of each line, made when first needed
}

type offsetFault struct {
	at   int // byte offset; wholeFile for none
	text string
}

const wholeFile = -1

func (r *report) addf(at int, format string, args ...any) {
	if len(r.all) == maxFaults {
		r.more++
		return
	}
	r.all = append(r.all, offsetFault{at, fmt.Sprintf(format, args...)})
}

// err returns nil or all faults as an error of kind Invalid.
func (r *report) err() error {
	if len(r.all) == 0 {
		return nil
	}
	slices.SortStableFunc(r.all, func(a, b offsetFault) int { return a.at - b.at })
	faults := make(Faults, 0, len(r.all)+1)
	for _, f := range r.all {
		line, col := r.place(f.at)
		faults = append(faults, Fault{r.file, line, col, f.text})
	}
	if r.more > 0 {
		faults = append(faults, Fault{File: r.file, Text: "and " + count(r.more, "more fault")})
	}
	return qsc.E("topology.Parse", qsc.Invalid, "", "%s in the network description:\n%w", count(len(r.all)+r.more, "fault"), faults)
}

// place returns the line and the column, in characters, of a byte offset.
func (r *report) place(at int) (line, col int) {
	if at == wholeFile {
		return 0, 0
	}
	line = r.line(at)
	return line, utf8.RuneCount(r.data[r.starts[line-1]:at]) + 1
}

// line returns the line of a byte offset, from 1.
func (r *report) line(at int) int {
	if r.starts == nil {
		r.starts = lineStarts(r.data)
	}
	i, exact := slices.BinarySearch(r.starts, at)
	if exact {
		i++
	}
	return i
}

// offset returns the byte offset of a line and a byte column, both from 1.
func (r *report) offset(line, col int) int {
	starts := lineStarts(r.data)
	start := starts[min(max(line, 1), len(starts))-1]
	return min(start+max(col-1, 0), len(r.data))
}

func lineStarts(data []byte) []int {
	starts := []int{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// quote shows a piece of the file safely and shortly.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
