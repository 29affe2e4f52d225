import type { ImageState } from './enums.js'
import { ProtocolError, shown } from './protocol-error.js'

/** Paths of the Loop's REST API, below `/api`. Every value is encoded; one that cannot be a segment throws LF_BAD_PATH. */
export const paths = {
  status: () => '/status',
  login: () => '/login',
  logout: () => '/logout',
  projects: () => '/projects',
  project: (o: string, p: string) => project(o, p),
  /** A project's own `resource` from the projects' list, checked, with a further segment such as `models`. */
  resource: (path: string, ...rest: string[]) => [checkedResource(path), ...rest.map(segment)].join('/'),
  data: (o: string, p: string, state?: ImageState) => `${project(o, p)}/data${query({ state })}`,
  /** Image data of up to 100 images; with a model version also what that model found in them. */
  images: (o: string, p: string, ids: readonly string[], modelVersion?: string) => {
    const version = modelVersion === undefined ? '' : `&model_version=${encoded(modelVersion)}`
    return `${project(o, p)}/images?ids=${ids.map(encoded).join(',')}${version}`
  },
  imageMain: (o: string, p: string, imageId: string) => `${project(o, p)}/images/${segment(imageId)}/main`,
  imageUpload: (o: string, p: string) => `${project(o, p)}/images`,
  noveltyScores: (o: string, p: string) => `${project(o, p)}/images/novelty_scores`,
  models: (o: string, p: string, format?: string) => `${project(o, p)}/models${query({ format })}`,
  modelFile: (o: string, p: string, modelId: string, format: string) =>
    `${project(o, p)}/models/${segment(modelId)}/${segment(format)}/file`,
  /** Where a person uploads a zip as a new model. */
  newModel: (o: string, p: string, format: string) => `${project(o, p)}/${segment(format)}`,
  trainings: (o: string, p: string) => `${project(o, p)}/trainings`,
  trainingModelFile: (o: string, p: string, trainingNumber: number, format: string) =>
    `${project(o, p)}/trainings/${segment(String(trainingNumber))}/models/latest/${segment(format)}/file`,
  detections: (o: string, p: string) => `${project(o, p)}/detections`,
  detectors: (o: string, p: string) => `${project(o, p)}/detectors`,
  deploymentTarget: (o: string, p: string) => `${project(o, p)}/deployment/target`,
  generator: (o: string) => `/${segment(o)}/projects/generator`,
} as const

function project(organization: string, name: string): string {
  return `/${segment(organization)}/projects/${segment(name)}`
}

// A dot segment leads elsewhere even when it is percent-encoded, so encoding does not help.
function segment(value: string): string {
  if (value === '' || value === '.' || value === '..') throw badPath(value)
  return encoded(value)
}

function encoded(value: string): string {
  try {
    return encodeURIComponent(value)
  } catch {
    throw badPath(value) // half a surrogate pair has no encoding
  }
}

function query(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : `${key}=${encoded(value)}`,
  )
  return given.length === 0 ? '' : `?${given.join('&')}`
}

function checkedResource(path: string): string {
  const isPlain = /^(\/[A-Za-z0-9_.~%+-]+)+$/.test(path)
  const hasDots = path.split('/').some((part) => /^(\.|%2e){1,2}$/i.test(part))
  if (!isPlain || hasDots) throw badPath(path)
  return path
}

function badPath(value: string): ProtocolError {
  return new ProtocolError('LF_BAD_PATH', `${shown(value)} cannot be part of a path of the Loop's API.`)
}
