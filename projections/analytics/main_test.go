package analytics_test

import (
	"os"
	"testing"

	"yidang/projections/analytics/analyticstest"
)

func TestMain(m *testing.M) {
	os.Exit(analyticstest.Main(m, map[string]func([]string) int{loaderWord: loaderChild}))
}
