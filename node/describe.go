package node

import (
	"errors"
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// describe turns the TOML reader's errors into lines that name every fault's
// place.
func describe(err error) error {
	if e := (*toml.StrictMissingError)(nil); errors.As(err, &e) {
		var all []error
		for _, d := range e.Errors {
			row, col := d.Position()
			all = append(all, fmt.Errorf("line %d, column %d: unknown key", row, col))
		}
		return errors.Join(all...)
	}
	if e := (*toml.DecodeError)(nil); errors.As(err, &e) {
		row, col := e.Position()
		return fmt.Errorf("line %d, column %d: %w", row, col, err)
	}
	return err
}
