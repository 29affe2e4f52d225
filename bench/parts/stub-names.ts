/** What the stub of a Loop calls the only model it has. */
export const MODEL_ID = '00000000-0000-4000-8000-000000000000'
export const MODEL_FORMAT = 'mocked'

/** The id of the stub's n-th image, as long as a real one. */
export function idOf(index: number): string {
  return `${String(index).padStart(8, '0')}-5a9b-4df0-8785-507a677b7f05`
}

export function idsUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => idOf(index))
}
