import type { LoopRest } from '../../loop/client/index.js'

/** A pass converts many models of one project in a few seconds; it is not asked for anew for each of them. */
const RECENT_MS = 5_000

/** Asks the Loop for a project unless it was told of it a few seconds ago; what fails is asked for again at once. */
export function createRecentProjects(
  rest: Pick<LoopRest, 'project'>,
  now: () => number = () => performance.now(),
): Pick<LoopRest, 'project'> {
  const answers = new Map<string, { readonly at: number; readonly project: Awaited<ReturnType<LoopRest['project']>> }>()
  return {
    async project(resource, options) {
      const known = answers.get(resource)
      if (known !== undefined && now() - known.at < RECENT_MS) return known.project
      for (const [other, { at }] of answers) if (now() - at >= RECENT_MS) answers.delete(other)
      const at = now()
      const project = await rest.project(resource, options)
      answers.set(resource, { at, project })
      return project
    },
  }
}
