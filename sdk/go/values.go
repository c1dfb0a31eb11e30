package sessions

import (
	"bytes"
	"encoding"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"

	bindings "github.com/lemon-session/lemon-session/sdk/go/internal/bindings/lemon_session_types"
	types "github.com/lemon-session/lemon-session/sdk/go/wit/types"
)

// deepest is how many levels of nesting the modules for all languages can read.
const deepest = 127

// toValue converts plain data to a session value. It is stored as encoding/json/v2 writes it, apart from bytes and
// floating-point numbers, which have kinds of their own.
func toValue(name string, value any) (bindings.Value, error) {
	if value != nil {
		of := reflect.ValueOf(value)
		switch {
		case isBytes(of.Type()):
			return bindings.MakeValueBytes(of.Bytes()), nil
		case isReal(of.Type()):
			return bindings.MakeValueReal(of.Float()), nil
		}
	}
	text, err := json.Marshal(value, json.WithMarshalers(json.MarshalToFunc(marshal)), json.Deterministic(true))
	if err == nil {
		err = check(text)
	}
	if err != nil {
		return bindings.Value{}, &Error{ErrInvalidValue, name + ": " + why(err)}
	}
	switch jsontext.Value(text).Kind() {
	case 'n':
		return bindings.MakeValueNull(), nil
	case 't', 'f':
		return bindings.MakeValueBoolean(text[0] == 't'), nil
	case '"':
		unquoted, err := jsontext.AppendUnquote(nil, text)
		return bindings.MakeValueText(string(unquoted)), err
	case '0':
		if isInteger(text) {
			integer, err := strconv.ParseInt(string(text), 10, 64)
			return bindings.MakeValueInteger(integer), err
		}
		real, err := strconv.ParseFloat(string(text), 64)
		return bindings.MakeValueReal(real), err
	default:
		return bindings.MakeValueJson(string(text)), nil
	}
}

// marshal writes what encoding/json/v2 would write otherwise than the modules for other languages do, and refuses what it
// would alter. The value is a pointer.
func marshal(encoder *jsontext.Encoder, value any) error {
	of := reflect.ValueOf(value).Elem()
	switch {
	case of.Kind() == reflect.Invalid:
		return errors.ErrUnsupported
	case isBytes(of.Type()):
		return errors.New("JSON cannot express bytes inside a slice, map or struct; store them in a separate variable")
	case isReal(of.Type()):
		real := of.Float()
		if math.IsNaN(real) || math.IsInf(real, 0) {
			return errors.New("a float inside a slice, map or struct is infinite or NaN, which JSON cannot express")
		}
		return encoder.WriteValue(realToJSON(real, of.Type().Bits()))
	}
	return errors.ErrUnsupported
}

// isBytes returns whether values of a type are bytes, and do not write themselves otherwise, as a net.IP does.
func isBytes(t reflect.Type) bool {
	bytes := (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t.Elem().Kind() == reflect.Uint8
	return bytes && !writesItself(t)
}

func isReal(t reflect.Type) bool {
	return (t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64) && !writesItself(t)
}

func writesItself(t reflect.Type) bool {
	for _, writer := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[encoding.TextMarshaler](),
	} {
		if t.Implements(writer) || reflect.PointerTo(t).Implements(writer) {
			return true
		}
	}
	return false
}

// realToJSON writes a number with a fraction or an exponent, so that every language reads it as a real.
func realToJSON(real float64, bits int) jsontext.Value {
	text := strconv.AppendFloat(nil, real, 'g', -1, bits)
	if isInteger(text) {
		text = append(text, ".0"...)
	}
	return text
}

// isInteger returns whether a number in JSON is an integer: it has neither a fraction nor an exponent.
func isInteger(number []byte) bool {
	return !bytes.ContainsAny(number, ".eE")
}

// check refuses JSON that other languages cannot read.
func check(text []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.ReadToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if decoder.StackDepth() > deepest {
			return fmt.Errorf("slices, maps and structs are nested deeper than %d levels", deepest)
		}
		if number := token.String(); token.Kind() == '0' && isInteger([]byte(number)) {
			if _, err := strconv.ParseInt(number, 10, 64); err != nil {
				return errors.New("an integer must be from -2^63 to 2^63-1; store larger numbers as a string")
			}
		}
	}
}

// why says what is wrong with a value, without the words that encoding/json puts in front of it.
func why(err error) string {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok && semantic.Err != nil {
		return semantic.Err.Error()
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "json: "), "jsontext: ")
}

// whyAndWhere says what is wrong with a stored value, and with which of its fields.
func whyAndWhere(err error) string {
	text := why(err)
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if ok && semantic.Err != nil && semantic.JSONPointer != "" {
		text += fmt.Sprintf(" within %q", semantic.JSONPointer)
	}
	return text
}

// optional converts what Get and Take of the session component return.
func optional[T any](name string, value types.Option[bindings.Value], err error) (T, error) {
	if err != nil || value.IsNone() {
		var zero T
		return zero, err
	}
	return fromValue[T](name, value.Some())
}

// fromValue converts a session value to a T: bytes and floating-point numbers as they are, all other kinds as
// encoding/json/v2 reads them.
func fromValue[T any](name string, value bindings.Value) (T, error) {
	var to T
	err := assign(reflect.ValueOf(&to).Elem(), value)
	if err != nil {
		var zero T
		return zero, &Error{ErrWrongType, fmt.Sprintf("%s cannot be read as %v: %s", name, reflect.TypeFor[T](), whyAndWhere(err))}
	}
	return to, nil
}

func assign(to reflect.Value, value bindings.Value) error {
	var text []byte
	isAny := to.Type() == reflect.TypeFor[any]()
	switch value.Tag() {
	case bindings.ValueBytes:
		switch {
		case isAny:
			to.Set(reflect.ValueOf(value.Bytes()))
			return nil
		case isBytes(to.Type()) && to.Kind() == reflect.Slice:
			to.SetBytes(value.Bytes())
			return nil
		}
		return errors.New("it is bytes")
	case bindings.ValueReal:
		switch {
		case isAny:
			to.Set(reflect.ValueOf(value.Real()))
			return nil
		case isReal(to.Type()):
			to.SetFloat(value.Real())
			return nil
		}
		return errors.New("it is a floating-point number")
	case bindings.ValueText:
		// JSON would be read as bytes in base 64.
		if isBytes(to.Type()) {
			return errors.New("it is a string")
		}
		var err error
		if text, err = jsontext.AppendQuote(nil, value.Text()); err != nil {
			return err
		}
	case bindings.ValueInteger:
		text = strconv.AppendInt(nil, value.Integer(), 10)
	case bindings.ValueBoolean:
		text = strconv.AppendBool(nil, value.Boolean())
	case bindings.ValueNull:
		text = []byte("null")
	case bindings.ValueJson:
		text = []byte(value.Json())
	}
	return json.Unmarshal(text, to.Addr().Interface(), json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(readAny), json.UnmarshalFromFunc(readFloat[float32]), json.UnmarshalFromFunc(readFloat[float64]),
	)))
}

// readAny reads an integer as an int64 and another number as a float64, where encoding/json would read all as float64.
func readAny(decoder *jsontext.Decoder, to *any) error {
	if decoder.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	number, err := decoder.ReadValue()
	if err != nil {
		return err
	}
	if isInteger(number) {
		*to, err = strconv.ParseInt(string(number), 10, 64)
	} else {
		*to, err = strconv.ParseFloat(string(number), 64)
	}
	return err
}

// readFloat refuses an integer that a floating-point number cannot represent.
func readFloat[F float32 | float64](decoder *jsontext.Decoder, to *F) error {
	if decoder.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	number, err := decoder.ReadValue()
	if err != nil {
		return err
	}
	real, err := strconv.ParseFloat(string(number), reflect.TypeFor[F]().Bits())
	if err != nil {
		return err
	}
	if *to = F(real); isInteger(number) {
		if integer, err := strconv.ParseInt(string(number), 10, 64); err != nil || int64(*to) != integer {
			return errors.New("the integer " + string(number) + " has more digits than the type")
		}
	}
	return nil
}
