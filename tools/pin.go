//go:build tools

// Package tools pins what the code generators import.
package tools

import _ "github.com/mmcloughlin/avo/build"
