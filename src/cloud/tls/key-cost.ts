/** What it costs to open a key that has a passphrase: the number is the tenant's, the processor ours. */
import { type Element, objectId, readElements, tags } from '../../lib/der.ts';

/** OpenSSL writes 2,048; 0.6 to 1.6 s of one processor at the limit, by digest. */
const MAX_ITERATIONS = 1_000_000;
/** Memory that scrypt may take: N × r × 128 bytes. */
const MAX_SCRYPT_BYTES = 64 * 1024 * 1024;
const scrypt = objectId('1.3.6.1.4.1.11591.4.11');

/**
 * Throws `RangeError` when a PKCS#8 EncryptedPrivateKeyInfo (RFC 5958) asks for more rounds or memory than anybody needs. It looks
 * at all numbers of the algorithm's parameters, however they are nested: iterations, key length, scrypt's N, r and p.
 */
export function checkKeyCost(der: Buffer): void {
  const [info] = readElements(der);
  const [algorithm] = readElements(info?.body ?? Buffer.alloc(0));
  const { numbers, isScrypt } = collect(algorithm === undefined ? [] : [algorithm], 0);
  if (isScrypt && numbers.slice(0, 3).reduce((product, each) => product * each, 128) > MAX_SCRYPT_BYTES)
    throw new RangeError('the key takes too much memory to open');
  if (numbers.some((each) => each > MAX_ITERATIONS)) throw new RangeError('the key takes too long to open');
}

function collect(elements: readonly Element[], depth: number): { readonly numbers: number[]; readonly isScrypt: boolean } {
  if (depth > 8) throw new RangeError('nested too deeply');
  const numbers: number[] = [];
  let isScrypt = false;
  for (const element of elements) {
    if (element.tag === tags.integer)
      numbers.push(element.body.length > 6 ? Infinity : element.body.readUIntBE(0, element.body.length || 1));
    else if (element.tag === tags.objectId) isScrypt ||= element.whole.equals(scrypt);
    else if (element.tag === tags.sequence) {
      const inner = collect(readElements(element.body), depth + 1);
      numbers.push(...inner.numbers);
      isScrypt ||= inner.isScrypt;
    }
  }
  return { numbers, isScrypt };
}
