/** What differs between the recorded answer and ours, by kind. */
import type { Answer } from './exchange.ts';
import { normalValue, recordedText } from './normal-form.ts';

/**
 * `better`: theirs is a crash (5xx) over bad input, ours a refusal (4xx). `text`: only the wording of a message. `different`: all else.
 * `status`, `type`, `key`, `value` and `header` say in what; the first is the worst.
 */
export type DifferenceKind = 'status' | 'type' | 'key' | 'value' | 'header' | 'better' | 'text';

/** One difference: where, and what each of the two has there. */
export type Difference = { readonly kind: DifferenceKind; readonly path: string; readonly theirs: unknown; readonly ours: unknown };

/** The kinds that make a case different. */
export const isDifferent = (kind: DifferenceKind): boolean => kind !== 'better' && kind !== 'text';

const TEXTS = new Set(['faultstring', 'description', 'title', 'debuginfo']);

/** All differences between two answers in normal form; none when they are equal. */
export function compareAnswers(theirs: Answer, ours: Answer, isOrdered = false): Difference[] {
  const headers = [...new Set([...Object.keys(theirs.headers), ...Object.keys(ours.headers)])].flatMap((name) =>
    theirs.headers[name] === ours.headers[name]
      ? []
      : [{ kind: 'header' as const, path: name, theirs: theirs.headers[name], ours: ours.headers[name] }],
  );
  if (theirs.status !== ours.status) {
    const isBetter = (theirs.status >= 500 || theirs.status === 0) && ours.status >= 400 && ours.status < 500;
    return [
      {
        kind: isBetter ? 'better' : 'status',
        path: 'status',
        theirs: `${theirs.status} ${JSON.stringify(theirs.body)}`,
        ours: `${ours.status} ${JSON.stringify(ours.body)}`,
      },
    ];
  }
  const requestId =
    theirs.request_id === ours.request_id
      ? []
      : [{ kind: 'header' as const, path: 'x-openstack-request-id', theirs: theirs.request_id, ours: ours.request_id }];
  return [...compareValues(sorted(theirs.body, isOrdered), ours.body, 'body', theirs.status >= 400), ...headers, ...requestId];
}

/** The recorded lists in the order that this program sorts them in. */
const sorted = (body: unknown, isOrdered: boolean): unknown => normalValue(body, recordedText, isOrdered);

function compareValues(theirs: unknown, ours: unknown, path: string, isError: boolean): Difference[] {
  if (isObject(theirs) && isObject(ours))
    return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].flatMap((key) =>
      compareKey(theirs, ours, key, `${path}.${key}`, isError),
    );
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    const length = theirs.length === ours.length ? [] : [difference('value', `${path}.length`, theirs.length, ours.length)];
    return [
      ...length,
      ...theirs.slice(0, ours.length).flatMap((each, index) => compareValues(each, ours[index], `${path}[${index}]`, isError)),
    ];
  }
  if (Object.is(theirs, ours)) return [];
  const isSameType = typeName(theirs) === typeName(ours) || theirs === null || ours === null;
  return [difference(isSameType ? 'value' : 'type', path, theirs, ours)];
}

function compareKey(
  theirs: Record<string, unknown>,
  ours: Record<string, unknown>,
  key: string,
  path: string,
  isError: boolean,
): Difference[] {
  const isText = isError && (TEXTS.has(key) || key === 'code' || key === 'faultcode');
  if (!(key in theirs)) return [difference(isText ? 'text' : 'key', path, 'absent', ours[key])];
  if (!(key in ours)) return [difference(isText ? 'text' : 'key', path, theirs[key], 'absent')];
  if (isError && TEXTS.has(key)) return theirs[key] === ours[key] ? [] : [difference('text', path, theirs[key], ours[key])];
  return compareValues(theirs[key], ours[key], path, isError);
}

const difference = (kind: DifferenceKind, path: string, theirs: unknown, ours: unknown): Difference => ({ kind, path, theirs, ours });

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const typeName = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
