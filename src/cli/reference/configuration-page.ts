import { z } from 'zod'
import { type Variable, variables } from '../../config/index.js'

/** The reference page of the environment variables, made from their schemas. */
export function configurationPage(): string {
  const entries: [string, Variable][] = Object.entries(variables)
  return `# Configuration

<!-- Made by \`npm run docs\` from src/config/variables.ts; changes here are lost. -->

loopfleet is configured by environment variables and by the options of its commands ([cli.md](cli.md)). An option counts
more than a variable. An empty variable counts as unset. A value that cannot be ends the command with a sentence.

| variable | older name | values | default | meaning |
|---|---|---|---|---|
${entries.map(toRow).join('\n')}

- Where there is an older name, either may be set. If both are set, the newer name (\`LOOP_…\`) takes precedence, since a shell
  may set \`HOST\` or \`USERNAME\` on its own. Each part logs the values that it reads, each with its source (a variable, an option or the default), once when
  it has started ("settings").
- Values marked as secret are never printed or logged. Programs that loopfleet starts do not inherit them
  ([trainer contract](trainer-contract.md)), and they stand in no environment of a running part ([SECURITY.md](../../SECURITY.md)).
- \`REDIS_URL\` takes \`redis://[user:password@]host[:port][/db]\`, \`rediss://…\`, \`unix://[user:password@]/path\` or a plain path, each
  also with \`?password=…\`. In a password, write \`#\` as \`%23\`, \`/\` as \`%2F\`, \`?\` as \`%3F\` and \`%\` as \`%25\`.
- Parts connect to the Loop and to Redis directly: \`HTTP_PROXY\` and \`HTTPS_PROXY\` are passed on to programs (with a password in them, see [SECURITY.md](../../SECURITY.md)), but not used.
  A reverse proxy before the Loop must pass WebSocket upgrades of \`/ws/socket.io/\`, or long polling at the same path.
- A worker also obeys \`CUDA_VISIBLE_DEVICES\`, \`CUDA_DEVICE_ORDER\` and \`NVIDIA_VISIBLE_DEVICES\`; of the first, an empty value counts
  ([GPUs](gpus.md)).
- Trainers are described by files of their own, see the [trainer contract](trainer-contract.md).
`
}

function toRow([name, variable]: [string, Variable]): string {
  const initial = variable.schema.safeParse(undefined)
  const cells = [
    `\`${name}\``,
    variable.alias === undefined ? '' : `\`${variable.alias}\``,
    variable.secret === true ? `${valuesOf(variable)}, secret` : valuesOf(variable),
    initial.success && initial.data !== undefined ? `\`${String(initial.data)}\`` : '',
    variable.meaning,
  ]
  return `| ${cells.join(' | ')} |`
}

const shapeSchema = z.object({
  type: z.string().optional(),
  enum: z.array(z.string()).optional(),
  pattern: z.string().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
})

function valuesOf({ schema }: Variable): string {
  const read = (io: 'input' | 'output') => shapeSchema.parse(z.toJSONSchema(schema, { io, unrepresentable: 'any' }))
  const output = read('output')
  // What a text is made into has no type here: then its own form counts, as of a list.
  const input = read('input')
  const shape = output.type === undefined && input.pattern !== undefined ? input : output
  if (shape.enum !== undefined) return shape.enum.map((value) => `\`${value}\``).join(', ')
  if (shape.type === 'integer') return `whole number${rangeOf(shape)}`
  if (shape.type === 'number') return `${shape.minimum} to ${shape.maximum}`
  if (shape.pattern !== undefined) return `text like \`${shape.pattern}\``
  if (shape.minLength !== undefined) return `text of ${shape.minLength} signs or more`
  return shape.type === 'string' ? 'text' : '`1` or `true`'
}

function rangeOf({ minimum, maximum }: z.infer<typeof shapeSchema>): string {
  const from = minimum === undefined ? '' : ` from ${minimum}`
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? from : `${from} to ${maximum}`
}
