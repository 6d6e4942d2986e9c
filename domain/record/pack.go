package record

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"
	"unique"
)

// Packed is a file in little memory: a fifth of what it takes folded, in two pieces without pointers. Making one and
// folding it out again costs microseconds, reading the stream again a millisecond. It is never stored: its form is the
// program's own, and that of the types of the states.
//
// The states of one packer that are equal share their memory: what the commands, the views and the analytics keep of a file
// that nobody has touched lately is one and the same.
type Packed struct {
	state    unique.Handle[string] // the zero handle in the zero Packed
	commands []uint64
	remember bool
	erased   bool
	Exists   bool
	Revision uint64
	Position uint64
}

// Size is the memory it takes, in bytes.
func (p *Packed) Size() int {
	if p.state == (unique.Handle[string]{}) {
		return 0
	}
	return len(p.state.Value()) + 8*len(p.commands)
}

// Packer packs files. It is safe for concurrent use.
type Packer struct {
	mu    sync.RWMutex
	plans map[reflect.Type]*plan
	codes map[string]int // values of string types: kinds, results, roles. They are few and everywhere
	words []string
}

// NewPacker makes a packer.
func NewPacker() *Packer { return &Packer{plans: map[reflect.Type]*plan{}, codes: map[string]int{}} }

// Pack packs a file as it is. ok is false when it holds what cannot be packed: a proposal that awaits an answer, or a state
// of a type that is more than its exported fields.
func (p *Packer) Pack(f *File) (out Packed, ok bool) {
	if len(f.proposals) > 0 {
		return out, false
	}
	state := reflect.ValueOf(f.State)
	if state.Kind() != reflect.Pointer || state.IsNil() {
		return out, false
	}
	plan := p.plan(state.Type().Elem())
	if plan == nil {
		return out, false
	}
	buf := plan.put(make([]byte, 0, 1024), state.Elem())
	return Packed{
		state: unique.Make(string(buf)), commands: slices.Clone(f.commands), remember: f.remember, erased: f.Erased,
		Exists: f.Exists, Revision: f.Revision, Position: f.Position,
	}, true
}

// Unpack gives the file again.
func (p *Packer) Unpack(k *Category, stream string, in Packed) *File {
	f := NewFile(k, stream)
	f.Exists, f.Revision, f.Position, f.Erased = in.Exists, in.Revision, in.Position, in.erased
	f.commands, f.remember = slices.Clone(in.commands), in.remember
	state := reflect.ValueOf(f.State).Elem()
	p.plan(state.Type()).take([]byte(in.state.Value()), state)
	return f
}

// plan says how values of a type, which are addressable, are put into bytes and taken out again. Of a struct, the bytes tell which fields are not
// zero, and then those.
type plan struct {
	put  func(b []byte, v reflect.Value) []byte
	take func(b []byte, v reflect.Value) []byte // gives the rest
}

// plan is nil for a type that cannot be packed.
func (p *Packer) plan(t reflect.Type) *plan {
	p.mu.RLock()
	had, ok := p.plans[t]
	p.mu.RUnlock()
	if ok {
		return had
	}
	made := p.make(t, map[reflect.Type]bool{})
	p.mu.Lock()
	p.plans[t] = made
	p.mu.Unlock()
	return made
}

var timeType, marshalerType = reflect.TypeFor[time.Time](), reflect.TypeFor[json.Marshaler]()

// make makes the plan of a type; within are those around it, for one inside itself has no plan.
func (p *Packer) make(t reflect.Type, within map[reflect.Type]bool) *plan {
	if within[t] {
		return nil
	}
	within[t] = true
	defer delete(within, t)
	switch t.Kind() {
	case reflect.Bool:
		return &plan{
			put: func(b []byte, v reflect.Value) []byte {
				if v.Bool() {
					return append(b, 1)
				}
				return append(b, 0)
			},
			take: func(b []byte, v reflect.Value) []byte { v.SetBool(b[0] == 1); return b[1:] },
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &plan{
			put:  func(b []byte, v reflect.Value) []byte { return binary.AppendVarint(b, v.Int()) },
			take: func(b []byte, v reflect.Value) []byte { n, size := binary.Varint(b); v.SetInt(n); return b[size:] },
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &plan{
			put:  func(b []byte, v reflect.Value) []byte { return binary.AppendUvarint(b, v.Uint()) },
			take: func(b []byte, v reflect.Value) []byte { n, size := binary.Uvarint(b); v.SetUint(n); return b[size:] },
		}
	case reflect.Float32, reflect.Float64:
		return &plan{
			put: func(b []byte, v reflect.Value) []byte {
				return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float()))
			},
			take: func(b []byte, v reflect.Value) []byte {
				v.SetFloat(math.Float64frombits(binary.BigEndian.Uint64(b)))
				return b[8:]
			},
		}
	case reflect.String:
		if t.PkgPath() != "" {
			return p.code()
		}
		return &plan{put: putString, take: takeString}
	case reflect.Array:
		return p.array(t, within)
	case reflect.Slice:
		return p.slice(t, within)
	case reflect.Pointer:
		return p.pointer(t, within)
	case reflect.Map:
		return p.mapping(t, within)
	case reflect.Struct:
		if t == timeType {
			return &plan{put: putTime, take: takeTime}
		}
		return p.structure(t, within)
	}
	return nil
}

var bytesPlan = &plan{
	put: func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, 0)
		}
		return append(binary.AppendUvarint(b, uint64(v.Len())+1), v.Bytes()...)
	},
	take: func(b []byte, v reflect.Value) []byte {
		n, size := binary.Uvarint(b)
		b = b[size:]
		if n == 0 {
			v.SetZero()
			return b
		}
		v.SetBytes(slices.Clone(b[:n-1]))
		return b[n-1:]
	},
}

func putString(b []byte, v reflect.Value) []byte {
	s := v.String()
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func takeString(b []byte, v reflect.Value) []byte {
	n, size := binary.Uvarint(b)
	b = b[size:]
	v.SetString(string(b[:n]))
	return b[n:]
}

// maxCodes bounds the codes that get a number, should a type turn out to hold text.
const maxCodes = 4096

// code numbers the values of a string type.
func (p *Packer) code() *plan {
	return &plan{
		put: func(b []byte, v reflect.Value) []byte {
			n := p.number(v.String())
			b = binary.AppendUvarint(b, uint64(n))
			if n == 0 {
				b = putString(b, v)
			}
			return b
		},
		take: func(b []byte, v reflect.Value) []byte {
			n, size := binary.Uvarint(b)
			if n == 0 {
				return takeString(b[size:], v)
			}
			p.mu.RLock()
			defer p.mu.RUnlock()
			v.SetString(p.words[n-1])
			return b[size:]
		},
	}
}

// number is 0 when there is none.
func (p *Packer) number(word string) int {
	p.mu.RLock()
	n, full := p.codes[word], len(p.words) == maxCodes
	p.mu.RUnlock()
	if n > 0 || full {
		return n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.codes[word]; ok || len(p.words) == maxCodes {
		return n
	}
	p.words = append(p.words, string(append([]byte(nil), word...))) // not a piece of something long
	p.codes[p.words[len(p.words)-1]] = len(p.words)
	return len(p.words)
}

// putTime keeps the moment and the offset of the clock that told it.
func putTime(b []byte, v reflect.Value) []byte {
	t := *v.Addr().Interface().(*time.Time)
	_, offset := t.Zone()
	b = binary.AppendVarint(b, t.Unix())
	b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
	return binary.AppendVarint(b, int64(offset))
}

func takeTime(b []byte, v reflect.Value) []byte {
	seconds, size := binary.Varint(b)
	b = b[size:]
	nanos, size := binary.Uvarint(b)
	b = b[size:]
	offset, size := binary.Varint(b)
	t := time.Unix(seconds, int64(nanos))
	_, zone := t.In(Zone).Zone()
	switch {
	case offset == 0:
		t = t.UTC()
	case int(offset) == zone:
		t = t.In(Zone)
	default:
		t = t.In(time.FixedZone("", int(offset)))
	}
	*v.Addr().Interface().(*time.Time) = t
	return b[size:]
}

func (p *Packer) array(t reflect.Type, within map[reflect.Type]bool) *plan {
	if t.Elem().Kind() == reflect.Uint8 { // an id
		return &plan{
			put:  func(b []byte, v reflect.Value) []byte { return append(b, v.Bytes()...) },
			take: func(b []byte, v reflect.Value) []byte { n := copy(v.Bytes(), b); return b[n:] },
		}
	}
	elem := p.make(t.Elem(), within)
	if elem == nil {
		return nil
	}
	return &plan{
		put: func(b []byte, v reflect.Value) []byte {
			for i := range v.Len() {
				b = elem.put(b, v.Index(i))
			}
			return b
		},
		take: func(b []byte, v reflect.Value) []byte {
			for i := range v.Len() {
				b = elem.take(b, v.Index(i))
			}
			return b
		},
	}
}

func (p *Packer) slice(t reflect.Type, within map[reflect.Type]bool) *plan {
	if t.Elem().Kind() == reflect.Uint8 {
		return bytesPlan
	}
	elem := p.make(t.Elem(), within)
	if elem == nil {
		return nil
	}
	return &plan{
		put: func(b []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(b, 0)
			}
			b = binary.AppendUvarint(b, uint64(v.Len())+1)
			for i := range v.Len() {
				b = elem.put(b, v.Index(i))
			}
			return b
		},
		take: func(b []byte, v reflect.Value) []byte {
			n, size := binary.Uvarint(b)
			b = b[size:]
			if n == 0 {
				v.SetZero()
				return b
			}
			v.Set(reflect.MakeSlice(t, int(n-1), int(n-1)))
			for i := range v.Len() {
				b = elem.take(b, v.Index(i))
			}
			return b
		},
	}
}

func (p *Packer) pointer(t reflect.Type, within map[reflect.Type]bool) *plan {
	elem := p.make(t.Elem(), within)
	if elem == nil {
		return nil
	}
	return &plan{
		put: func(b []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(b, 0)
			}
			return elem.put(append(b, 1), v.Elem())
		},
		take: func(b []byte, v reflect.Value) []byte {
			if b[0] == 0 {
				v.SetZero()
				return b[1:]
			}
			v.Set(reflect.New(t.Elem()))
			return elem.take(b[1:], v.Elem())
		},
	}
}

func (p *Packer) mapping(t reflect.Type, within map[reflect.Type]bool) *plan {
	key, elem := p.make(t.Key(), within), p.make(t.Elem(), within)
	if key == nil || elem == nil {
		return nil
	}
	return &plan{
		put: func(b []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(b, 0)
			}
			b = binary.AppendUvarint(b, uint64(v.Len())+1)
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			entries := make([]string, 0, v.Len()) // in an order of their own, so that equal states are packed alike
			for i := v.MapRange(); i.Next(); {
				k.SetIterKey(i)
				e.SetIterValue(i)
				entries = append(entries, string(elem.put(key.put(nil, k), e)))
			}
			slices.Sort(entries)
			for _, entry := range entries {
				b = append(b, entry...)
			}
			return b
		},
		take: func(b []byte, v reflect.Value) []byte {
			n, size := binary.Uvarint(b)
			b = b[size:]
			if n == 0 {
				v.SetZero()
				return b
			}
			v.Set(reflect.MakeMapWithSize(t, int(n-1)))
			for range n - 1 {
				k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				b = elem.take(key.take(b, k), e)
				v.SetMapIndex(k, e)
			}
			return b
		},
	}
}

// structure packs exported fields, those that JSON would keep. A type that writes its own JSON may have more to it.
func (p *Packer) structure(t reflect.Type, within map[reflect.Type]bool) *plan {
	type part struct {
		index int
		*plan
	}
	var parts []part
	hidden := false
	for i := range t.NumField() {
		if f := t.Field(i); !f.IsExported() {
			if f.Anonymous {
				return nil // its fields may be exported
			}
			hidden = true
			continue
		}
		made := p.make(t.Field(i).Type, within)
		if made == nil {
			return nil
		}
		parts = append(parts, part{i, made})
	}
	if hidden && (len(parts) == 0 || reflect.PointerTo(t).Implements(marshalerType)) {
		return nil
	}
	mask := (len(parts) + 7) / 8
	return &plan{
		put: func(b []byte, v reflect.Value) []byte {
			at := len(b)
			for range mask {
				b = append(b, 0)
			}
			for i, f := range parts {
				if field := v.Field(f.index); !field.IsZero() {
					b[at+i/8] |= 1 << (i % 8)
					b = f.put(b, field)
				}
			}
			return b
		},
		take: func(b []byte, v reflect.Value) []byte {
			set := b[:mask]
			b = b[mask:]
			for i, f := range parts {
				if set[i/8]&(1<<(i%8)) != 0 {
					b = f.take(b, v.Field(f.index))
				} else {
					v.Field(f.index).SetZero() // New may have filled it in
				}
			}
			return b
		},
	}
}
