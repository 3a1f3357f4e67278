/* A stand-in for libnvidia-ml.so.1. Readings come from the text file named by FADA_NVML_STUB, read again at each
   call: one "CARD KEY VALUE" a line. A key that is absent is unsupported; "CARD lost 1" makes the card vanish;
   card 9 is the driver itself ("9 init 18", "9 count 2"). Processes: "CARD compute PID BYTES". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef unsigned long long u64;
typedef struct { unsigned pid; u64 memory; unsigned gi, ci; } process_t;

static int find(u64 card, const char *key, int nth, char *value) {
    char line[256], word[64], text[160], *path = getenv("FADA_NVML_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    u64 number; int found = 0;
    while (file && !found && fgets(line, sizeof line, file))
        if (sscanf(line, "%llu %63s %159[^\n]", &number, word, text) == 3 && number == card && !strcmp(word, key))
            if (nth-- == 0) { strcpy(value, text); found = 1; }
    if (file) fclose(file);
    return found;
}
static int number(void *card, const char *key, u64 *value) {
    char text[160]; u64 index = (u64)card - 1;
    if (find(index, "lost", 0, text)) return 15;
    if (!find(index, key, 0, text)) return 3;
    *value = strtoull(text, NULL, 10);
    return 0;
}
static int word(void *card, const char *key, char *out) {
    u64 ignored; int status = number(card, key, &ignored);
    return status ? status : !find((u64)card - 1, key, 0, out);
}
static int small(void *card, const char *key, unsigned *out) {
    u64 value = 0; int status = number(card, key, &value);
    if (!status) *out = (unsigned)value;
    return status;
}
static int processes(void *card, const char *key, unsigned *room, process_t *out) {
    char text[160]; unsigned count = 0; u64 ignored;
    if (number(card, "lost", &ignored) == 15) return 15;
    for (; find((u64)card - 1, key, count, text); count++)
        if (out && count < *room) {
            memset(out + count, 0, sizeof *out);
            if (sscanf(text, "%u %llu", &out[count].pid, &out[count].memory) < 2) out[count].memory = ~0ULL;
        }
    if (count > *room) { *room = count; return 7; }
    *room = count;
    return 0;
}
int nvmlInitWithFlags(unsigned flags) {
    char text[160];
    if (!getenv("FADA_NVML_STUB")) return 12;
    return find(9, "init", 0, text) ? atoi(text) : 0;
}
int nvmlDeviceGetCount_v2(unsigned *out) { return small((void *)10, "count", out); }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { return word((void *)10, "driver", out); }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out) { u64 x; *out = (void *)(u64)(i + 1); return number(*out, "lost", &x) == 15 ? 15 : 0; }
int nvmlDeviceGetName(void *c, char *out, unsigned size) { return word(c, "name", out); }
int nvmlDeviceGetUUID(void *c, char *out, unsigned size) { return word(c, "uuid", out); }
int nvmlDeviceGetUtilizationRates(void *c, unsigned *out) { out[1] = 0; return small(c, "utilisation", out); }
int nvmlDeviceGetMemoryInfo(void *c, u64 *out) { int s = number(c, "total", out); if (!s) s = number(c, "used", out + 2); out[1] = out[0] - out[2]; return s; }
int nvmlDeviceGetPowerUsage(void *c, unsigned *out) { return small(c, "power_mw", out); }
int nvmlDeviceGetEnforcedPowerLimit(void *c, unsigned *out) { return small(c, "limit_mw", out); }
int nvmlDeviceGetTemperature(void *c, int sensor, unsigned *out) { return small(c, "temperature", out); }
int nvmlDeviceGetClockInfo(void *c, int kind, unsigned *out) { return small(c, "clock", out); }
int nvmlDeviceGetFanSpeed(void *c, unsigned *out) { return small(c, "fan", out); }
int nvmlDeviceGetCurrentClocksEventReasons(void *c, u64 *out) { return number(c, "events", out); }
int nvmlDeviceGetComputeRunningProcesses_v3(void *c, unsigned *n, process_t *out) { return processes(c, "compute", n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *c, unsigned *n, process_t *out) { return processes(c, "graphics", n, out); }
