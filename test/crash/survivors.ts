/** Mutants that no history can catch, each with the reason why it does not matter. */
export const survivorsArgued: readonly { readonly file: string; readonly what: string; readonly reason: string }[] = [];
