use super::*;
use proptest::prelude::*;

#[test]
fn integers_take_their_smallest_form() {
    let widths: [(i64, usize); 12] = [
        (0, 1),
        (127, 1),
        (128, 2),
        (255, 2),
        (256, 3),
        (65_536, 5),
        (1 << 32, 9),
        (-32, 1),
        (-33, 2),
        (-129, 3),
        (-32_769, 5),
        (i64::MIN, 9),
    ];
    for (value, width) in widths {
        let mut out = Vec::new();
        write_integer(&mut out, value);
        assert_eq!(out.len(), width, "{value}");
        assert_eq!(Reader::new(&out).integer().unwrap(), value);
    }
}

#[test]
fn a_declared_length_is_never_believed() {
    for hostile in [&[0xdd, 0xff, 0xff, 0xff, 0xff, 0][..], &[0xdf, 0xff, 0xff, 0xff, 0xff], &[0xc6, 0x80, 0, 0, 0, 1]]
    {
        assert_eq!(Reader::new(hostile).value().unwrap_err().code(), ErrorCode::InvalidValue);
    }
}

#[test]
fn nesting_is_limited_to_the_depth_of_the_table() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    assert!(Reader::new(&nested(limits::VALUE_DEPTH)).value().is_ok());
    assert_eq!(Reader::new(&nested(limits::VALUE_DEPTH + 1)).value().unwrap_err().code(), ErrorCode::TooLarge);
    assert_eq!(Reader::new(&nested(1_000_000)).value().unwrap_err().code(), ErrorCode::TooLarge);
}

#[test]
fn a_field_name_that_is_no_text_is_refused() {
    assert!(Reader::new(&[0x81, 0x01, 0x01]).value().is_err());
    assert!(Reader::new(&[0x81, 0xa1, b'a', 0x01]).value().is_ok());
}

proptest! {
    #[test]
    fn scalars_survive_the_round_trip(
        i in any::<i64>(),
        f in any::<u64>(),
        t in ".{0,40}",
        b in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut out = Vec::new();
        write_integer(&mut out, i);
        write_float(&mut out, f64::from_bits(f));
        write_text(&mut out, &t);
        write_bin(&mut out, &b);
        write_ext(&mut out, 5, &b);
        let mut reader = Reader::new(&out);
        prop_assert_eq!(reader.integer().unwrap(), i);
        prop_assert_eq!(reader.float().unwrap().to_bits(), f);
        prop_assert_eq!(reader.text().unwrap(), t);
        prop_assert_eq!(reader.bin().unwrap(), &b[..]);
        prop_assert_eq!(reader.ext().unwrap(), (5, &b[..]));
        prop_assert!(reader.is_at_end());
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(value) = Reader::new(&bytes).value() {
            prop_assert!(value.len() <= bytes.len());
            let cut = &value[..value.len() - 1];
            prop_assert!(Reader::new(cut).value().is_err(), "a value less its last byte is no value");
        }
    }
}
