"""Small files of every kind that a reader brings, each in order, for tests and for the fuzzer."""

GOOD = {
    "training": {
        "row_id": "a",
        "model": "llama3_1_8b",
        "accelerator": "h100",
        "n_accel": "64",
        "precision": "bf16",
        "tp": "8",
        "pp": "1",
        "dp": "8",
        "cp": "1",
        "ep": "1",
        "micro_batch": "1",
        "vpp": "1",
        "recompute": "none",
        "zero_fsdp": "1",
        "seq_parallel": "y",
        "seq_len": "8192",
        "global_batch": "256",
        "iter_time_s": "6.5",
        "year": "2025",
        "inter_gbps_per_accel": "400",
    },
    "inference": {
        "row_id": "a",
        "model": "llama3_1_8b",
        "accelerator": "h100",
        "accel_count": "1",
        "weights_dtype": "bf16",
        "kv_dtype": "bf16",
        "tp": "1",
        "pp": "1",
        "dp": "1",
        "ep": "1",
        "mode": "online",
        "batch_or_concurrency": "16",
        "batch_kind": "max_concurrency",
        "input_tokens": "1024",
        "output_tokens": "1024",
        "ttft_ms": "60",
        "tpot_ms": "9",
        "throughput_tok_s": "1500",
        "throughput_kind": "output",
    },
}

# Small files in the forms of other tools; the numbers are made up, the fields are theirs.
BENCH = {
    "date": "20260901-101500",
    "backend": "vllm",
    "model_id": "meta-llama/Llama-3.1-8B-Instruct",
    "num_prompts": 1000,
    "request_rate": "inf",
    "max_concurrency": 64,
    "duration": 95.2,
    "completed": 1000,
    "total_input_tokens": 1024000,
    "total_output_tokens": 256000,
    "request_throughput": 10.5,
    "output_throughput": 2689.1,
    "total_token_throughput": 13445.4,
    "mean_ttft_ms": 312.5,
    "mean_tpot_ms": 21.3,
    "itls": [[0.02] * 10] * 10,
}
SGLANG = {
    "backend": "sglang",
    "max_concurrency": 8,
    "completed": 100,
    "total_input_tokens": 102400,
    "total_output_tokens": 25600,
    "request_throughput": 2.0,
    "output_throughput": 512.0,
    "mean_ttft_ms": 60.0,
    "mean_tpot_ms": 9.0,
    "accept_length": None,
}
GENAI = """Metric,avg,min,max,p99
Time To First Token (ms),"1,146.31",249.48,"3,485.23","3,457.97"
Inter Token Latency (ms),30.35,27.59,35.60,35.23
Output Sequence Length (tokens),174.45,164.00,187.00,186.22
Input Sequence Length (tokens),"3,000.05","2,999.00","3,001.00","3,001.00"

Metric,Value
Output Token Throughput (per sec),261.25
"""
AIPERF = {
    "time_to_first_token": {"unit": "ms", "avg": 195.84},
    "inter_token_latency": {"unit": "ms", "avg": 35.2},
    "output_token_throughput": {"unit": "tokens/sec", "avg": 52.69},
    "output_sequence_length": {"unit": "tokens", "avg": 64.0},
    "input_sequence_length": {"unit": "tokens", "avg": 256.0},
    "input_config": {
        "endpoint": {"model_names": ["Qwen/Qwen3-32B"]},
        "loadgen": {"concurrency": 2},
    },
}
INFERENCEX = """hw,model,framework,precision,isl,osl,tp,ep,dp_attention,conc,tput_per_gpu,\
output_tput_per_gpu,mean_ttft,mean_tpot
h200,deepseek-ai/DeepSeek-R1-0528,sglang,fp8,1024,1024,8,1,false,64,480.1,240.2,0.35,0.032
h200,deepseek-ai/DeepSeek-R1-0528,sglang,fp8,1024,1024,8,8,true,64,480.1,240.2,0.35,0.032
"""
STEP = " [2026-03-01 10:00:00] iteration      {}/  500000 | consumed samples:       102400 | "
STEP += "elapsed time per iteration (ms): {} | throughput per GPU (TFLOP/s/GPU): 412.5 | "
STEP += "global batch size:  1024 | lm loss: 7.1E+00 |\n"
MEGATRON = """------------------------ arguments ------------------------
  bf16 ............................................ True
  fp8 ............................................. None
  pipeline_model_parallel_size .................... 4
  seq_length ...................................... 8192
  tensor_model_parallel_size ...................... 8
  world_size ...................................... 1024
"""
NEMO = "Training epoch 0, iteration {}/99 | lr: 7.5e-06 | global_batch_size: 128 | "
NEMO += "global_step: 9 | reduced_train_loss: 11.96 | train_step_timing in s: {}\n"

CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "rope_scaling": {"factor": 8.0},
    "layer_types": ["full_attention"] * 32,
}
RESULTS = {
    "report": "04_serving",
    "headline": [{"name": "output per chip", "value": 1200.5, "unit": "1/s", "status": "modelled"}],
}
GRID = """report = "04"
[common]
dtype = "fp8"
[grid]
model = ["llama3_3_70b", "qwen3_32b"]
tpot_ms = [20, 50.5]
[[case]]
input_tokens = 4096
systems = ["trn3_gen2", "hgx_h100"]
"""
