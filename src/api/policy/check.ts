/** A check of a policy rule as a tree: what the text of a rule becomes, and what is compiled into a function. */

/** A text in which names of the target stand between the constant parts: `%(project_id)s`. */
export type Template = readonly (string | { readonly key: string })[];

/** One check. */
export type Check =
  | { readonly kind: 'always' | 'never' }
  | { readonly kind: 'not'; readonly check: Check }
  | { readonly kind: 'and' | 'or'; readonly checks: readonly Check[] }
  | { readonly kind: 'rule'; readonly name: string }
  | { readonly kind: 'role'; readonly name: Template }
  | { readonly kind: 'is_admin'; readonly expected: boolean }
  /** A constant is compared with a text. */
  | { readonly kind: 'constant'; readonly value: string; readonly text: Template }
  /** An attribute of the caller is compared with a text. */
  | { readonly kind: 'attribute'; readonly path: readonly string[]; readonly text: Template };

/** Every check in a tree, the outer ones first. */
export function* eachCheck(check: Check): Generator<Check> {
  yield check;
  if (check.kind === 'not') yield* eachCheck(check.check);
  if (check.kind === 'and' || check.kind === 'or') for (const each of check.checks) yield* eachCheck(each);
}
