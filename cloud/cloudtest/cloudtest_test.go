package cloudtest

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/cloud"
)

func TestMemCatalog(t *testing.T) {
	Catalog(t, func(*testing.T) cloud.Catalog { return NewMemCatalog() })
}
