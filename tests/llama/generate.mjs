// SPDX-License-Identifier: GPL-2.0-only
// Loads a GGUF by llama.cpp and generates, as a program that is watched:
//
//   node generate.mjs --root ROOT [--wait] [--no-mmap] [--check-tensors] [--context N]
//                     [--prompt N] [--tokens N] [--threads N] [--verbose] MODEL
//
// ROOT is what tests/llama/install printed. Says "ready PID" on stdout, with --wait reads
// a line of stdin before the library's first call that matters; says "loaded" and, at the
// first token, "generating"; ends with one line of JSON. Exit code 1: it could not be loaded.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values: o, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		root: { type: "string" },
		wait: { type: "boolean", default: false },
		"no-mmap": { type: "boolean", default: false },
		"check-tensors": { type: "boolean", default: false },
		context: { type: "string", default: "256" },
		prompt: { type: "string", default: "4" },
		tokens: { type: "string", default: "17" },
		threads: { type: "string", default: "1" },
		verbose: { type: "boolean", default: false },
	},
});

function line() {
	return new Promise((resolve) => readline.createInterface({ input: process.stdin }).once("line", resolve));
}

function say(text) {
	fs.writeSync(1, `${text}\n`);
}

function rss() {
	const pages = fs.readFileSync("/proc/self/status", "utf8");
	const bytes = (name) => 1024 * Number(pages.match(new RegExp(`^${name}:\\s*(\\d+)`, "m"))[1]);
	return { total: bytes("VmRSS"), anon: bytes("RssAnon"), file: bytes("RssFile"), peak: bytes("VmHWM") };
}

async function timed(work) {
	const begin = performance.now();
	const result = await work();
	return [result, performance.now() - begin];
}

// The prompt is of any tokens: what random weights say to it means nothing anyway.
async function generate(model, context, wanted) {
	const prompt = Array.from({ length: Number(o.prompt) }, (_, i) => 10 + i);
	const options = { temperature: 1, seed: 1, yieldEogToken: true };
	let tokens = 0;
	let begin = 0;
	let cpu;
	let finite = true;

	for await (const { confidence } of context
		.getSequence()
		.evaluateWithMetadata(prompt, { confidence: true }, options)) {
		finite &&= Number.isFinite(confidence);
		if (tokens++ === 0) {
			begin = performance.now();
			cpu = process.cpuUsage();
			say("generating");
		}
		if (tokens === wanted)
			break;
	}
	cpu = process.cpuUsage(cpu);
	return {
		prompt: prompt.length, tokens, finite,
		tokens_per_s: (1000 * (tokens - 1)) / (performance.now() - begin),
		cpu_us_per_token: (cpu.user + cpu.system) / (tokens - 1),
	};
}

async function main() {
	const library = path.join(o.root, "node_modules/node-llama-cpp/dist/index.js");
	const { getLlama } = await import(pathToFileURL(library));
	const llama = await getLlama({
		gpu: false, build: "never", skipDownload: true, progressLogs: false,
		logLevel: o.verbose ? "debug" : "error", numa: false,
		logger: (level, text) => process.stderr.write(`${text}\n`),
	});

	say(`ready ${process.pid}`);
	if (o.wait)
		await line();
	const before = rss();
	const [model, load_ms] = await timed(() => llama.loadModel({
		modelPath: positionals[0], useMmap: !o["no-mmap"], lazyMode: false, gpuLayers: 0,
		checkTensors: o["check-tensors"], ignoreMemorySafetyChecks: true,
	}));
	const loaded = rss();
	say("loaded");
	const [context, context_ms] = await timed(() => model.createContext({
		contextSize: Number(o.context), threads: Number(o.threads), flashAttention: false,
		ignoreMemorySafetyChecks: true, failedCreationRemedy: false,
	}));
	const generated = await generate(model, context, Number(o.tokens));

	say(JSON.stringify({ load_ms, context_ms, model_bytes: model.size, before, loaded, after: rss(), ...generated }));
	process.exit(0);
}

main().catch((error) => {
	console.error(String(error));
	process.exit(1);
});
