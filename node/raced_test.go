//go:build race

package node

func init() { raced = true }
