/** One request on its way through the API, and its answer. */
import type { Caller } from '../cloud/identity.ts';
import type { StoredRecord } from '../cloud/local/record-store.ts';
import type { Secret } from '../lib/secret.ts';
import type { ApiDeps } from './deps.ts';
import type { QueryArgs } from './http/query.ts';

/** A request, authenticated. */
export type Call = {
  readonly deps: ApiDeps;
  readonly caller: Caller;
  /** The caller's token, for what is asked of other services in its name; null: there is none. */
  readonly token: Secret | null;
  readonly method: string;
  /** The URL's path without query, as it came. */
  readonly path: string;
  /** What stands for `:name` in the route. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: QueryArgs;
  /** Scheme and host that links in answers begin with. */
  readonly base_url: string;
  /** Records of the embedded services that are written with the change that the request asks for, if it comes to that. */
  readonly pending: StoredRecord[];
  /** The body read as JSON; undefined when there is none. Throws `Fault` 400 or 415. */
  body(): unknown;
};

/** What is sent back; without body the answer is empty. */
export type Answer = { readonly status: number; readonly body?: unknown };

/** Answers one route and method. Throws `Fault` for everything that is the caller's to know. */
export type Handler = (call: Call) => Promise<Answer> | Answer;
