/** Writing and reading DER (ITU-T X.690), as far as a certificate needs it. */

/** The tags that certificates use. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  nothing: 0x05,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag of an element that a specification marks with a number in brackets. */
export const contextTag = (number: number, isConstructed: boolean): number => (isConstructed ? 0xa0 : 0x80) + number;

/** One element: tag, length, and its contents one after another. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const digits = body.length.toString(16);
  const length = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 + length.length), length, body]);
}

/** A list of elements. */
export const sequence = (...elements: readonly Uint8Array[]): Buffer => element(tags.sequence, ...elements);

/** A whole number ≥ 0 from its bytes, the highest first. */
export function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.of(0) : Buffer.from(bytes.subarray(start));
  // A first bit of 1 would make it negative.
  return element(tags.integer, (digits[0] ?? 0) >= 0x80 ? Buffer.of(0) : Buffer.alloc(0), digits);
}

/** An object identifier from its text (`2.5.29.14`). */
export function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return element(tags.objectId, ...[first * 40 + second, ...rest].map((arc) => Buffer.from(base128(arc))));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** Bits, of which the last `unused` of the last byte do not count. */
export const bitString = (bytes: Uint8Array, unused = 0): Buffer => element(tags.bitString, Buffer.of(unused), bytes);

/** A time to the second: two digits of the year until 2049, four afterwards (RFC 5280 section 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/\D/gu, '')}Z`;
  return date.getUTCFullYear() < 2050
    ? element(tags.utcTime, Buffer.from(digits.slice(2)))
    : element(tags.generalizedTime, Buffer.from(digits));
}

/** An element that was read: `whole` with tag and length, `body` without. */
export type Element = { readonly tag: number; readonly whole: Buffer; readonly body: Buffer };

/** The elements that stand one after another in these bytes. Throws `RangeError` when they are cut short, or of a form that DER does not have. */
export function readElements(bytes: Buffer): Element[] {
  const elements: Element[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const short = bytes.readUInt8(offset + 1);
    // 0x80 alone is BER's "until the end mark"; six bytes are as many as Node reads.
    if (short === 0x80 || short > 0x86) throw new RangeError('the length is not DER');
    const extra = short < 0x80 ? 0 : short - 0x80;
    const length = extra === 0 ? short : bytes.readUIntBE(offset + 2, extra);
    const start = offset + 2 + extra;
    if (start + length > bytes.length) throw new RangeError('the DER is cut short');
    elements.push({
      tag: bytes.readUInt8(offset),
      whole: bytes.subarray(offset, start + length),
      body: bytes.subarray(start, start + length),
    });
    offset = start + length;
  }
  return elements;
}
