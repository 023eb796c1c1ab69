/** Judges answers of a running API by its description. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { OpenApi, OpenApiOperation } from '../../src/api/openapi/document.ts';

/** An operation of the document with its path. */
export type Described = { readonly method: string; readonly path: string; readonly operation: OpenApiOperation };

/** Finds what is wrong with an answer. */
export type AnswerChecker = {
  /** Every operation. */
  readonly operations: readonly Described[];
  /** The operation that a request asks for; undefined: none. */
  find(method: string, url: string): Described | undefined;
  /** What is wrong with the answer to a request; null: nothing. Undescribed paths are not judged. */
  check(method: string, url: string, status: number, body: unknown): string | null;
};

/** A checker for the document. */
export function createAnswerChecker(document: OpenApi): AnswerChecker {
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  ajv.addFormat('uuid', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu);
  ajv.addFormat('ipv4', /^(?:\d{1,3}\.){3}\d{1,3}$/u);
  ajv.addFormat('ipv6', /^[0-9a-f:.]*:[0-9a-f:.]*$/iu);
  ajv.addSchema(document, 'api');
  const compiled = new Map<string, ValidateFunction>();
  const validator = (pointer: string): ValidateFunction => {
    const known = compiled.get(pointer) ?? ajv.compile({ $ref: `api#${pointer}` });
    compiled.set(pointer, known);
    return known;
  };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const find: AnswerChecker['find'] = (method, url) => {
    const segments = normal(url).split('/');
    return operations.find((each) => each.method === method && matches(each.path.split('/'), segments));
  };
  return {
    operations,
    find,
    check(method, url, status, body) {
      const found = find(method, url);
      // An answer limited to some fields lacks required ones, as the description says.
      if (found === undefined || /[?&]fields=/u.test(url) || status === 405) return null;
      const response = found.operation.responses[status] as { $ref?: string; content?: unknown } | undefined;
      if (response === undefined) return `${method} ${found.path} answers ${status}, which is not described`;
      const at = response.$ref?.slice(1) ?? `/paths/${found.path.replaceAll('/', '~1')}/${method.toLowerCase()}/responses/${status}`;
      if (response.$ref === undefined && response.content === undefined)
        return body === undefined || body === null ? null : `${method} ${found.path} answers ${status} with a body`;
      const validate = validator(`${encodeURI(at)}/content/application~1json/schema`);
      return validate(body)
        ? null
        : `${method} ${found.path} ${status}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body).slice(0, 1000)}`;
    },
  };
}

/** The path as the document has it: with `/v2/lbaas`, without query, suffix and slash at the end. */
function normal(url: string): string {
  const path = url
    .replace(/\?.*$/su, '')
    .replace(/\/+$/u, '')
    .replace(/\.json$/u, '')
    .replace(/^\/v2\.0/u, '/v2');
  if (path === '') return '/';
  return /^\/v2(?!\/(?:lbaas|octavia)(?:\/|$))/u.test(path) ? path.replace(/^\/v2/u, '/v2/lbaas') : path;
}

const matches = (template: readonly string[], segments: readonly string[]): boolean =>
  template.length === segments.length && template.every((part, at) => (part.startsWith('{') ? segments[at] !== '' : part === segments[at]));
