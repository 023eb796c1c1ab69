/** Reading the bytes of a request as JSON. */
import { Fault } from '../../model/index.ts';
import { Refusal } from './errors.ts';
import { pythonStr } from '../request/python-text.ts';

const jsonTypes = new Set(['application/json', 'text/javascript', 'application/javascript']);
const formTypes = new Set(['', 'application/x-www-form-urlencoded', 'multipart/form-data']);

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The JSON value of a body; undefined for an empty one. Throws `Fault` 400 or 415. */
export function readJson(bytes: Uint8Array | undefined, contentType: string | undefined): unknown {
  if (bytes === undefined || bytes.length === 0) return undefined;
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (formTypes.has(type)) throw new Fault(400, `Unknown argument: "${pythonStr(new TextDecoder().decode(bytes).slice(0, 1000))}"`);
  if (!jsonTypes.has(type)) throw new Fault(415, `Unknown mimetype: ${type}`);
  const text = decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Fault(400, 'Request is not in valid JSON format', { cause: error });
  }
  if (isDeeper(value, MAX_DEPTH)) throw new Fault(400, `Request is nested more than ${MAX_DEPTH} levels deep`);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new Refusal(400, 'Bad Request', '', { cause: error });
  }
}

/** No body has a use for more; what reads bodies calls itself once for each level. */
const MAX_DEPTH = 100;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}
