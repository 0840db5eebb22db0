// Package show writes amounts, times and tables for people. It reads nothing
// back and writes no JSON.
package show

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

var binary = []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Bytes prints an amount of bytes with three digits and a binary unit, as file
// systems and pads have them: "712 B", "38.4 MiB".
func Bytes(n int64) string {
	if n > -1024 && n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 999.5 || v <= -999.5 {
		v, unit = v/1024, unit+1
	}
	return Digits(v) + " " + binary[unit]
}

// Speed prints bytes per second in MB/s, 10^6 bytes, as the benchmarks do.
func Speed(n int64, d time.Duration) string {
	return Digits(MBPerSecond(n, d)) + " MB/s"
}

// MBPerSecond is n bytes in d, in 10^6 bytes per second.
func MBPerSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / 1e6 / d.Seconds()
}

// Digits prints v with three significant digits, and all of the integer part.
func Digits(v float64) string {
	switch abs := max(v, -v); {
	case abs < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case abs < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// Duration prints a length of time with the units that matter: "0.84 s",
// "4 min 10 s", "2 h 5 min", "9 days".
func Duration(d time.Duration) string {
	switch {
	case d < time.Minute && d%time.Second == 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Minute:
		return Digits(d.Seconds()) + " s"
	case d < time.Hour:
		return pairOf(d, time.Minute, "min", time.Second, "s")
	case d < 48*time.Hour:
		return pairOf(d, time.Hour, "h", time.Minute, "min")
	}
	return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + " days"
}

func pairOf(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	s := fmt.Sprintf("%d %s", d/big, bigName)
	if rest := d % big / small; rest > 0 {
		s += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return s
}

// Name makes a name safe for a terminal: one with anything but printable
// characters is quoted.
func Name(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

// Wrap breaks a text into lines of at most width characters, each behind indent.
// A longer word stays whole.
func Wrap(text string, width int, indent string) string {
	var b strings.Builder
	length := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case length == 0:
			b.WriteString(indent)
		case length+1+n > width:
			b.WriteString("\n" + indent)
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += n
	}
	return b.String()
}

// Plural prints a count with its noun: "1 site", "3 sites".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Table collects rows and writes them in columns.
type Table struct{ rows []string }

// NewTable begins a table with its head.
func NewTable(head ...string) *Table {
	t := &Table{}
	t.Row(head...)
	return t
}

// Row adds a row. An empty cell is a dash.
func (t *Table) Row(cells ...string) {
	for i, c := range cells {
		if c == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, strings.Join(cells, "\t"))
}

// Write writes the table, each line behind indent.
func (t *Table) Write(w io.Writer, indent string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range t.rows {
		fmt.Fprintf(tw, "%s%s\n", indent, r)
	}
	return tw.Flush()
}
