import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import type { ModelRecord } from '../store/records.js'

/** The project's models, newest last, in the shape of the API; only those that have files. */
export function modelEntries(project: Project, format?: string) {
  return project.record.models
    .map(({ formats, ...model }) => ({ ...model, formats: Object.keys(formats) }))
    .filter(({ formats }) => formats.length > 0 && (format === undefined || formats.includes(format)))
}

/** The model with this id; a refusal (404) when there is none. */
export function modelById(project: Project, id: string): ModelRecord {
  const stored = storedModelId(project.name, id)
  const found = project.record.models.find((model) => model.id === stored)
  if (found === undefined) throw new RefusedError(404, `There is no model ${id} in ${project.name}.`)
  return found
}

/** The next version in the current generation (a training), or the first of the next one (an upload). */
export function nextVersion(project: Project, step: 'minor' | 'major'): string {
  const versions = project.record.models.map(({ version }) => (version ?? '0.0').split('.').map(Number))
  const major = Math.max(0, ...versions.map(([first = 0]) => first))
  if (step === 'major' || major === 0) return `${major + 1}.0`
  const minor = Math.max(-1, ...versions.filter(([first]) => first === major).map(([, second = 0]) => second))
  return `${major}.${minor + 1}`
}

// Tests of the two generations of the Python library name model 1.2 of the demo project differently.
const OLDER_ID_OF_1_2 = '917d5c7f-403d-7e92-f95f-577f79c2273a'
const ID_OF_1_2 = '00000000-0000-0000-0000-000000000012'

/** The id under which a model is stored; one model of the demo project has two. */
function storedModelId(projectName: string, id: string): string {
  return projectName === 'zauberzeug/demo' && id === OLDER_ID_OF_1_2 ? ID_OF_1_2 : id
}
