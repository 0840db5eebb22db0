//go:build !linux

package durable

import "os"

func syncData(f *os.File) error { return f.Sync() }

func reserve(*os.File, int64) error { return errNoReserve }

func startWriteback(*os.File, int64, int64) error { return nil }

func keepFromDumps([]byte) {}
