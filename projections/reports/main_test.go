package reports_test

import (
	"os"
	"testing"

	"yidang/projections/analytics/analyticstest"
)

func TestMain(m *testing.M) { os.Exit(analyticstest.Main(m, nil)) }
