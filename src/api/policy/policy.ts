/** Who may do what: the rules in force, ready to decide. */
import type { Caller } from '../../cloud/identity.ts';
import { type Check, eachCheck } from './check.ts';
import { compile, type Decide, type Subject, type Target } from './compile.ts';
import { defaultRules, ruleName } from './defaults.ts';
import { parseRule, PolicySyntaxError } from './parse.ts';

/** What decides besides the rules built in. */
export type PolicyOptions = {
  /** Name → rule, as policy files have them. */
  readonly overrides?: ReadonlyMap<string, unknown>;
  /** Refuse tokens whose scope is not a project. */
  readonly enforce_scope?: boolean;
  /** Only Keystone's default roles count, not the `load-balancer_*` ones beside them. */
  readonly enforce_new_defaults?: boolean;
  /** The rule that stands for rules that are named but not defined. */
  readonly default_rule?: string;
};

/** The rules in force. */
export interface Policy {
  /** May the caller do this in this project (null: in no particular one)? An action without a rule is the administrator's. */
  allows(caller: Caller, resource: string, action: string, project_id: string | null): boolean;
  /** Is the caller an administrator by the rule `context_is_admin`? */
  isAdmin(caller: Caller): boolean;
  /** What in the overrides probably is a mistake, one sentence each. */
  readonly warnings: readonly string[];
}

/** A policy that cannot be used; the message is one sentence for the operator. */
export class PolicyError extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'PolicyError';
  }
}

/** Builds a policy: parses and compiles every rule once. Throws `PolicyError`. */
export function createPolicy(options: PolicyOptions = {}): Policy {
  const checks = checksOf(options);
  refuseCircles(checks);
  const compiled = new Map<string, Decide>();
  const fallback = (): Decide | undefined => compiled.get(options.default_rule ?? 'default');
  for (const [name, check] of checks)
    compiled.set(
      name,
      compile(check, (other) => compiled.get(other) ?? fallback()),
    );
  const decide = (name: string, subject: Subject, target: Target): boolean => compiled.get(name)?.(subject, target) ?? false;
  const refusesScope = (caller: Caller): boolean => options.enforce_scope === true && (caller.system_scope || caller.domain_id !== null);
  // Callers are remembered by the identity: so is what the rules see of them.
  const subjects = new WeakMap<Caller, Subject>();
  const admins = new WeakMap<Caller, boolean>();
  const subjectFor = (caller: Caller): Subject => {
    const subject = subjects.get(caller) ?? subjectOf(caller, caller.is_admin);
    subjects.set(caller, subject);
    return subject;
  };
  const isAdmin = (caller: Caller): boolean => {
    const known = admins.get(caller);
    if (known !== undefined) return known;
    const subject = subjectOf(caller, false);
    const is_admin = !refusesScope(caller) && decide('context_is_admin', subject, subject.attributes);
    admins.set(caller, is_admin);
    return is_admin;
  };
  return {
    allows(caller, resource, action, project_id) {
      if (refusesScope(caller)) return false;
      const name = ruleName(resource, action);
      return decide(compiled.has(name) ? name : 'load-balancer:admin', subjectFor(caller), { project_id });
    },
    isAdmin,
    warnings: warningsOf(options.overrides ?? new Map(), checks, options.default_rule ?? 'default'),
  };
}

function subjectOf(caller: Caller, is_admin: boolean): Subject {
  const { user_id, project_id, domain_id, roles, service_roles = [] } = caller;
  const system_scope = caller.system_scope ? 'all' : null;
  const attributes = { user_id, project_id, domain_id, system_scope, roles, service_roles, is_admin, user: user_id, tenant: project_id };
  return { roles: new Set(roles.map((role) => role.toLowerCase())), is_admin, attributes };
}

function checksOf({ overrides = new Map<string, unknown>(), enforce_new_defaults = false }: PolicyOptions): Map<string, Check> {
  const checks = new Map<string, Check>();
  for (const [name, rule] of defaultRules) {
    if (typeof rule === 'string') checks.set(name, parseRule(rule));
    else if (enforce_new_defaults) checks.set(name, parseRule(rule.now));
    else checks.set(name, { kind: 'or', checks: [parseRule(rule.now), parseRule(rule.before)] });
  }
  for (const [name, rule] of overrides) {
    try {
      checks.set(name, parseRule(rule));
    } catch (error) {
      if (!(error instanceof PolicySyntaxError)) throw error;
      throw new PolicyError(`The rule "${name}" ${error.message}.`, { cause: error });
    }
  }
  return checks;
}

const referencesOf = (check: Check): string[] => [...eachCheck(check)].flatMap((each) => (each.kind === 'rule' ? [each.name] : []));

/** A rule that asks itself would never answer. */
function refuseCircles(checks: ReadonlyMap<string, Check>): void {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) throw new PolicyError(`The rule "${name}" refers to itself: ${[...path, name].join(' → ')}.`);
    const check = checks.get(name);
    if (check === undefined || done.has(name)) return;
    for (const other of referencesOf(check)) visit(other, [...path, name]);
    done.add(name);
  };
  for (const name of checks.keys()) visit(name, []);
}

function warningsOf(overrides: ReadonlyMap<string, unknown>, checks: ReadonlyMap<string, Check>, fallback: string): string[] {
  const used = new Set([...checks.values()].flatMap(referencesOf));
  return [...overrides.keys()].flatMap((name) => {
    const check = checks.get(name) as Check;
    const lost = referencesOf(check).filter((other) => !checks.has(other) && !checks.has(fallback));
    const keys = [...eachCheck(check)].flatMap((each) => ('text' in each ? each.text : each.kind === 'role' ? each.name : []));
    const unknownKeys = keys.flatMap((part) => (typeof part === 'object' && part.key !== 'project_id' ? [part.key] : []));
    return [
      ...(defaultRules.has(name) || used.has(name) || name === fallback
        ? []
        : [`The rule "${name}" is neither one of this service nor used by another rule: it has no effect.`]),
      ...lost.map((other) => `The rule "${name}" refers to the rule "${other}", which is not defined: that part is never true.`),
      ...(name === 'context_is_admin'
        ? []
        : unknownKeys.map((key) => `The rule "${name}" compares with %(${key})s, but only project_id is known: that part is never true.`)),
    ];
  });
}
