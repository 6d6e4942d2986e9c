package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// benchSize is about that of an event's data.
const benchSize = 400

func BenchmarkSeal(b *testing.B) {
	v := openTest(b, b.TempDir())
	plaintext, aad := make([]byte, benchSize), []byte(stream+"|0123456789abcdef|drugs.visit_recorded|1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Seal(context.Background(), stream, plaintext, aad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	v := openTest(b, b.TempDir())
	aad := []byte(stream + "|0123456789abcdef|drugs.visit_recorded|1")
	sealed, err := v.Seal(b.Context(), stream, make([]byte, benchSize), aad)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Open(context.Background(), stream, sealed, aad); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenMiss is Open when the key has to come from the file.
func BenchmarkOpenMiss(b *testing.B) {
	v := openTest(b, b.TempDir())
	names, sealed := make([]string, 10_000), make([][]byte, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("person-%d", i)
	}
	if err := v.Ensure(b.Context(), names...); err != nil {
		b.Fatal(err)
	}
	for i, name := range names {
		sealed[i] = mustSeal(b, v, name, "x", "")
	}
	for i := 0; b.Loop(); i++ {
		n := i % len(names)
		v.cache.remove(names[n])
		if _, err := v.Open(context.Background(), names[n], sealed[n], nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawGCM is the baseline of Seal: the standard library's AES-256-GCM with a random nonce.
func BenchmarkRawGCM(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, keyBytes))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	plaintext, aad := make([]byte, benchSize), []byte(stream+"|0123456789abcdef|drugs.visit_recorded|1")
	for b.Loop() {
		out := make([]byte, 12, 12+benchSize+16)
		rand.Read(out)
		aead.Seal(out, out[:12], plaintext, aad)
	}
}

func BenchmarkMAC(b *testing.B) {
	v := openTest(b, b.TempDir())
	for b.Loop() {
		v.MAC("citizenid", []byte("999999199001011234"))
	}
}

func BenchmarkEnsure(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			v := openTest(b, b.TempDir())
			var n atomic.Int64
			b.SetParallelism(callers) // times GOMAXPROCS
			run := func(more func() bool) {
				for more() {
					if err := v.Ensure(context.Background(), fmt.Sprintf("person-%d", n.Add(1))); err != nil {
						b.Fatal(err)
					}
				}
			}
			if callers == 1 {
				run(b.Loop)
			} else {
				b.RunParallel(func(p *testing.PB) { run(p.Next) })
			}
		})
	}
}

// BenchmarkRawSync is the baseline of Ensure with one caller: a block appended and fsynced.
func BenchmarkRawSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBlind(b *testing.B) {
	v := openTest(b, b.TempDir())
	if err := v.Ensure(context.Background(), stream); err != nil {
		b.Fatal(err)
	}
	id := make([]byte, 16)
	for b.Loop() {
		if _, err := v.Blind(context.Background(), stream, id); err != nil {
			b.Fatal(err)
		}
	}
}
