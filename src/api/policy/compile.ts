/** Makes a function of each check, so that a request costs no reading of rules. */
import type { Check, Template } from './check.ts';

/** The caller as checks see it. */
export type Subject = {
  /** In lower case: names of roles are compared without it. */
  readonly roles: ReadonlySet<string>;
  readonly is_admin: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
};

/** What something is done to: its attributes by name. */
export type Target = Readonly<Record<string, unknown>>;

/** A compiled check. */
export type Decide = (subject: Subject, target: Target) => boolean;

/** Compiles a check; `find` answers the compiled rule of a name when it is needed, undefined when there is none. */
export function compile(check: Check, find: (name: string) => Decide | undefined): Decide {
  switch (check.kind) {
    case 'always':
      return () => true;
    case 'never':
      return () => false;
    case 'not': {
      const inner = compile(check.check, find);
      return (subject, target) => !inner(subject, target);
    }
    case 'and': {
      const inner = check.checks.map((each) => compile(each, find));
      return (subject, target) => inner.every((each) => each(subject, target));
    }
    case 'or': {
      const inner = check.checks.map((each) => compile(each, find));
      return (subject, target) => inner.some((each) => each(subject, target));
    }
    case 'rule':
      return (subject, target) => find(check.name)?.(subject, target) ?? false;
    case 'role':
      return compileRole(check.name);
    case 'is_admin':
      return (subject) => subject.is_admin === check.expected;
    case 'constant':
      return (_subject, target) => filled(check.text, target) === check.value;
    case 'attribute':
      return compileAttribute(check.path, check.text);
  }
}

function compileRole(name: Template): Decide {
  const [first = ''] = name;
  if (name.length <= 1 && typeof first === 'string') {
    const role = first.toLowerCase();
    return (subject) => subject.roles.has(role);
  }
  return (subject, target) => {
    const role = filled(name, target);
    return role !== null && subject.roles.has(role.toLowerCase());
  };
}

function compileAttribute(path: readonly string[], text: Template): Decide {
  const [first = ''] = text;
  // The check of nearly every rule: a text that is one attribute of the target.
  if (text.length === 1 && typeof first === 'object' && path.length === 1) {
    const [name = ''] = path;
    const { key } = first;
    return (subject, target) => isSame(own(subject.attributes, name), own(target, key));
  }
  return (subject, target) => {
    const wanted = filled(text, target);
    // Somebody without a project is not the owner of what has none.
    const isNothing = text.some((part) => typeof part === 'object' && own(target, part.key) === null);
    return wanted !== null && reaches(subject.attributes, path, wanted, isNothing);
  };
}

const isSame = (value: unknown, wanted: unknown): boolean =>
  value !== undefined && wanted !== undefined && value !== null && wanted !== null && pythonText(value) === pythonText(wanted);

/** Does the path lead to this text? Of a list on the way any element will do. */
function reaches(value: unknown, path: readonly string[], wanted: string, isNothing: boolean): boolean {
  if (Array.isArray(value)) return value.some((each) => reaches(each, path, wanted, isNothing));
  const [name, ...rest] = path;
  if (name === undefined) return pythonText(value) === wanted && !(value === null && isNothing);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false;
  return reaches((value as Record<string, unknown>)[name], rest, wanted, isNothing);
}

/** The text with the target's values; null when it lacks one. */
function filled(text: Template, target: Target): string | null {
  let result = '';
  for (const part of text) {
    if (typeof part === 'string') result += part;
    else {
      if (!Object.hasOwn(target, part.key)) return null;
      result += pythonText(target[part.key]);
    }
  }
  return result;
}

const own = (object: Readonly<Record<string, unknown>>, name: string): unknown => (Object.hasOwn(object, name) ? object[name] : undefined);

/** A value as Python writes it: rules compare texts. */
function pythonText(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number);
}
