"""Taking the mask off, by whichever way there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.asgi.fastlane.masking import apply_mask, unmask

masks = st.binary(min_size=4, max_size=4)


@given(st.binary(max_size=300), masks)
def test_each_byte_is_xored_with_its_byte_of_the_mask(data: bytes, mask: bytes) -> None:
    assert unmask(data, mask) == bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


@given(st.integers(1_000, 5_000), masks)
def test_long_ones_go_another_way_to_the_same_end(size: int, mask: bytes) -> None:
    data = bytes(place * 7 & 0xFF for place in range(size))
    assert unmask(data, mask) == bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


@given(st.binary(max_size=3_000), masks)
def test_what_the_parser_uses_is_the_same(data: bytes, mask: bytes) -> None:
    assert apply_mask(data, mask) == unmask(data, mask)
