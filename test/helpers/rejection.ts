/** The error a promise is rejected with; fails when it is fulfilled. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { readonly code?: unknown }> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
    throw new Error(`Thrown was no error but ${String(error)}`)
  }
  throw new Error('The promise was fulfilled, but an error was expected.')
}
