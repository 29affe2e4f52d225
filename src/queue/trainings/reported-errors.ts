type Reporter = { readonly isAlive: boolean; readonly errors: readonly string[] }
type Reported = { readonly by: string; readonly error: string }

/** Errors of living hosts and nodes: records that Redis has lost, each with who reports it. */
export function reportedErrors(
  hosts: readonly (Reporter & { readonly hostId: string })[],
  nodes: readonly (Reporter & { readonly name: string })[],
): readonly Reported[] {
  return [...hosts.map((host) => ({ ...host, by: host.hostId })), ...nodes.map((node) => ({ ...node, by: node.name }))]
    .filter(({ isAlive }) => isAlive)
    .flatMap(({ by, errors }) => errors.map((error) => ({ by, error })))
}
