import { InferenceError } from '../../basics/index.js'
import type { InferenceCategory } from '../../findings/findings.js'

export type ClassCategories = {
  /** In the order of the model's outputs. */
  readonly categories: readonly InferenceCategory[]
  readonly warnings: readonly string[]
}

const MAX_SHOWN = 5

/**
 * Finds for each class of a model the category of its name (or id). Throws LF_MODEL_CATEGORIES for a name that no
 * category has, or several; a model that has been served before goes on with the order of its model.json, and a warning.
 */
export function toClassCategories(
  names: readonly string[] | undefined,
  categories: readonly InferenceCategory[],
  { wasServed }: { readonly wasServed: boolean },
): ClassCategories {
  if (names === undefined || isSame(names, categories)) return { categories, warnings: [] }
  const found = names.map((name) => categoriesOf(name, categories))
  const unclear = names.filter((_, index) => found[index]?.length !== 1)
  if (unclear.length === 0) return { categories: found.flat(), warnings: [] }
  const problem = problemOf(unclear, categories)
  if (!wasServed) {
    throw new InferenceError(
      'LF_MODEL_CATEGORIES',
      `${problem}; export the model with the names of its project's categories.`,
      { details: { names: unclear.slice(0, MAX_SHOWN) } },
    )
  }
  return { categories, warnings: [`${problem}; its classes are taken in the order of its model.json, as before.`] }
}

function isSame(names: readonly string[], categories: readonly InferenceCategory[]): boolean {
  return names.length === categories.length && names.every((name, index) => name === categories[index]?.name)
}

function categoriesOf(name: string, categories: readonly InferenceCategory[]): InferenceCategory[] {
  const named = categories.filter((category) => category.name === name)
  return named.length > 0 ? named : categories.filter(({ id }) => id === name)
}

function problemOf(unclear: readonly string[], categories: readonly InferenceCategory[]): string {
  const [first = ''] = unclear
  const isTwice = categoriesOf(first, categories).length > 1
  const known = isTwice ? '' : `; the categories are ${list(categories.map(({ name }) => name))}`
  const what = isTwice ? 'which several categories of its model.json have' : 'which no category of its model.json has'
  return `The model's metadata name the class ${list(unclear)}, ${what}${known}`
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_SHOWN)
    .map((name) => JSON.stringify(name.length <= 60 ? name : `${name.slice(0, 57)}...`))
  return names.length > MAX_SHOWN ? `${shown.join(', ')} and ${names.length - MAX_SHOWN} more` : shown.join(', ')
}
