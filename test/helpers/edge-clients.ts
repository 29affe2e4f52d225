import { readFile } from 'node:fs/promises'
import { type Edge, ORGANIZATION, PROJECT } from './edge-detector.js'

type FoundBox = { readonly category_name: string; readonly model_name: string } & {
  readonly [side in 'x' | 'y' | 'width' | 'height']: number
}

export type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly detail?: unknown
    readonly tags?: readonly string[]
    readonly box_detections?: readonly FoundBox[]
  }
}

/** Posts one image to a detector's `/detect`. */
export async function detect(
  { url }: Pick<Edge, 'url'>,
  image: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return await post(`${url}/detect`, 'file', [image], headers)
}

/** Posts images to a detector's `/upload`. */
export async function upload(
  { url }: Pick<Edge, 'url'>,
  images: readonly Uint8Array[],
  query: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return await post(`${url}/upload?${new URLSearchParams(query)}`, 'files', images, {})
}

/** The word as the body of a PUT; answers the status. */
export async function put({ url }: Pick<Edge, 'url'>, path: string, body: string): Promise<number> {
  return (await fetch(`${url}${path}`, { method: 'PUT', body })).status
}

export type InboxImage = {
  readonly source: string | null
  readonly tags: readonly { readonly name: string }[]
  readonly width: number
}

/** All images that the Loop has of the detector, in its project or another. */
export async function inboxOf({ loop }: Pick<Edge, 'loop'>, project = PROJECT): Promise<InboxImage[]> {
  const images: InboxImage[] = []
  for (;;) {
    const path = `/api/local/${ORGANIZATION}/${project}/images?state=inbox&limit=200&offset=${images.length}`
    const page = JSON.parse(await (await fetch(`${loop.url}${path}`)).text())
    images.push(...page.images)
    if (images.length >= page.total) return images
  }
}

/** A figure of the detector's `/metrics`. */
export async function metric({ url }: Pick<Edge, 'url'>, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  if (line === undefined) throw new Error(`no ${name} in ${text}`)
  return Number(line.slice(name.length + 1))
}

/** Memory of the detector's process in MB, now and at most so far. */
export async function memoryOf({ detector }: Pick<Edge, 'detector'>): Promise<{ nowMb: number; mostMb: number }> {
  const text = await readFile(`/proc/${detector.pid}/status`, 'utf8')
  const mb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1]) / 1024
  return { nowMb: mb('VmRSS'), mostMb: mb('VmHWM') }
}

async function post(
  url: string,
  part: string,
  images: readonly Uint8Array[],
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const body = new FormData()
  for (const image of images) body.append(part, new Blob([new Uint8Array(image)]), 'image.jpg')
  const answer = await fetch(url, { method: 'POST', body, headers })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, body: JSON.parse(text) }
}
