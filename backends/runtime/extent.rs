//! The value of an extent such as `2*S+1`, read from the text that the compiler printed.

/// Computes a sum of products of numbers and symbols; nothing when the text is not one, when a symbol has no value
/// or when the result exceeds 64 bits.
pub fn evaluate(text: &[u8], value: impl Fn(&[u8]) -> Option<i64>) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = text.trim_ascii();
    let mut negative = false;
    if let Some(after) = rest.strip_prefix(b"-") {
        (negative, rest) = (true, after);
    }
    loop {
        let end = rest.iter().position(|&byte| byte == b'+' || byte == b'-').unwrap_or(rest.len());
        let term = product(&rest[..end], &value)?;
        total = if negative { total.checked_sub(term)? } else { total.checked_add(term)? };
        let Some((sign, after)) = rest[end..].split_first() else { return Some(total) };
        (negative, rest) = (*sign == b'-', after);
    }
}

fn product(text: &[u8], value: &impl Fn(&[u8]) -> Option<i64>) -> Option<i64> {
    text.split(|&byte| byte == b'*').try_fold(1_i64, |product, factor| {
        let factor = factor.trim_ascii();
        product.checked_mul(number(factor).or_else(|| value(factor))?)
    })
}

/// A number without a sign, written in decimal digits.
pub fn number(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
