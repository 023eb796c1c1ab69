/**
 * Errors by what the catcher does with them.
 *
 * `Fault` is shown to the API's caller, `Retry` is tried again later, `Terminal` puts its owner into ERROR.
 * Anything else that is thrown is a bug.
 */

/** A resource that a step or a configuration line belongs to: what goes to ERROR when it fails for good. */
export type Owner = { readonly type: ResourceType; readonly id: string };

/** The kinds of resource that have a provisioning status. */
export type ResourceType = 'loadbalancer' | 'listener' | 'pool' | 'member' | 'healthmonitor' | 'l7policy' | 'l7rule' | 'amphora';

/** An error for the API's caller: HTTP status and the text of `faultstring` (api-ref "Faults"). */
export class Fault extends Error {
  readonly status: number;
  /** Seconds for a `Retry-After` header; only with 503. */
  readonly retry_after_seconds: number | undefined;

  constructor(status: number, message: string, options: { cause?: unknown; retry_after_seconds?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.status = status;
    this.retry_after_seconds = options.retry_after_seconds;
  }
}

/** A failure of the outside that may pass: the pass ends and the work is tried again with back-off. */
export class Retry extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'Retry';
  }
}

/** A failure that trying again cannot mend: its owner goes to ERROR with this message as the reason. */
export class Terminal extends Error {
  readonly owner: Owner;

  constructor(owner: Owner, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'Terminal';
    this.owner = owner;
  }
}
