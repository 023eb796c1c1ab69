/** Payloads in and out: content types, encodings and sizes as Barbican has them. */
import type { FastifyRequest } from 'fastify';
import type { Payload } from '../../cloud/local/secrets/key-manager.ts';
import type { StoredSecret } from '../../cloud/local/secrets/records.ts';
import { Fault } from '../../model/faults.ts';
import { header } from '../identity/http.ts';
import { invalid } from './body.ts';

type ContentType = Payload['content_type'];

const supported =
  "['text/plain', 'text/plain;charset=utf-8', 'text/plain; charset=utf-8', 'application/octet-stream', 'application/pkcs8']";

/** The type of a secret's payload; null: it has none yet. */
export const contentTypeOf = (secret: StoredSecret): ContentType | null => secret.content_type;

/** A payload in a JSON body. Throws `Fault` 400 or 413. */
export function decodePayload(text: string, given: string | null, encoding: string | null, max_bytes: number): Payload {
  if (given === null)
    throw invalid('Secret', "If 'payload' is supplied, 'payload_content_type' must also be supplied.", 'payload_content_type');
  const content_type = normalized(given);
  if (content_type === null) throw invalid('Secret', `payload_content_type is not one of ${supported}`, 'payload_content_type');
  // Binary cannot stand in JSON, and a text needs no encoding.
  if ((content_type === 'text/plain') !== (encoding === null)) {
    const encodings = content_type === 'text/plain' ? 'None' : "['base64', 'binary']";
    throw invalid('Secret', `payload_content_encoding is not one of ${encodings}`, 'payload_content_encoding');
  }
  if (text === '') throw invalid('Secret', "If 'payload' specified, must be non empty", 'payload');
  if (Buffer.byteLength(text) > max_bytes) throw tooLarge();
  if (encoding === null) return { content_type, content: Buffer.from(text) };
  const content = fromBase64(text);
  if (content === null) throw invalid('Secret', 'Invalid payload for payload_content_encoding', 'payload');
  return { content_type, content };
}

/** A payload that is the whole body. Throws `Fault` 400, 413 or 415. */
export function decodeBody(request: FastifyRequest, max_bytes: number): Payload {
  const body = request.body as Buffer | undefined;
  if (body === undefined || body.length === 0) throw new Fault(400, 'No data supplied to process.');
  if (body.length > max_bytes) throw tooLarge();
  const content_type = normalized(header(request, 'content-type') ?? '');
  if (content_type === null) throw new Fault(415, 'Wrong payload content-type');
  const encoding = header(request, 'content-encoding')?.toLowerCase() ?? null;
  if (content_type === 'text/plain') {
    if (!isText(body)) throw new Fault(400, 'Unable to decode request data.');
    return { content_type, content: body };
  }
  if (encoding === null || encoding === 'binary') return { content_type, content: body };
  const content = encoding === 'base64' ? fromBase64(body.toString('latin1')) : null;
  if (content === null) throw new Fault(400, 'Unable to decode request data.');
  return { content_type, content };
}

/** The content type of the answer. Throws `Fault` 406 when the payload cannot be had in any accepted type. */
export function acceptedType(accept: string | undefined, secret: StoredSecret, payload: Buffer): string {
  const own = secret.content_type ?? 'application/octet-stream';
  const offers = (accept ?? '').split(',').map((each) => each.trim());
  for (const offer of offers.length === 1 && offers[0] === '' ? ['application/octet-stream'] : offers) {
    if (/^(?:\*\/\*|application\/\*)(?:;|$)/u.test(offer)) return own;
    const type = normalized(offer.replace(/;\s*q=[\d.]+$/u, ''));
    if (type === null) continue;
    if (type !== 'text/plain') return type;
    if (isText(payload)) return offer.includes(';') ? 'text/plain; charset=utf-8' : type;
  }
  throw new Fault(406, 'Secret payload retrieval issue seen - Wrong payload content-type.');
}

function normalized(type: string): ContentType | null {
  const [name = '', parameter, ...rest] = type
    .toLowerCase()
    .split(';')
    .map((each) => each.trim());
  if (rest.length > 0 || (parameter !== undefined && !/^charset\s*=\s*"?utf-8"?$/u.test(parameter))) return null;
  return name === 'text/plain' || name === 'application/octet-stream' || name === 'application/pkcs8' ? name : null;
}

function fromBase64(text: string): Buffer | null {
  const compact = text.replaceAll(/\s/gu, '');
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/u.test(compact)) return null;
  return Buffer.from(compact, 'base64');
}

function isText(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const tooLarge = (): Fault => new Fault(413, 'Provided information too large to process');
