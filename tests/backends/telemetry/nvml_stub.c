/* A stand-in for libnvidia-ml.so.1. Readings come from the text file named by FADA_NVML_STUB, read again at each
   call: one "CARD KEY VALUE" a line. A key that is absent is unsupported; "CARD lost 1" makes the card vanish;
   card 9 is the driver itself ("9 init 18", "9 count 2", "9 hang 5": reading a power takes so many seconds,
   "9 crash 1": it kills the process). Processes: "CARD compute PID BYTES". Parts of a divided card are cards of
   their own: "0 mig 2" says that the parts of card 0 are cards 20 and 21. "0 xid 79": reported once a second.
   With -DQUICK the file is read once only, so that calls cost as little as they can. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
typedef unsigned long long u64;
typedef struct { unsigned pid; u64 memory; unsigned gi, ci; } process_t;

#ifdef QUICK
static struct { u64 card; char word[64], text[160]; } lines[200];
static int known = -1;
static int find(u64 card, const char *key, int nth, char *value) {
    if (known < 0) {
        char line[256]; FILE *file = fopen(getenv("FADA_NVML_STUB"), "r");
        for (known = 0; file && known < 200 && fgets(line, sizeof line, file);)
            known += sscanf(line, "%llu %63s %159[^\n]", &lines[known].card, lines[known].word, lines[known].text) == 3;
        if (file) fclose(file);
    }
    for (int i = 0; i < known; i++)
        if (lines[i].card == card && !strcmp(lines[i].word, key) && nth-- == 0) { strcpy(value, lines[i].text); return 1; }
    return 0;
}
#else
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
#endif
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
static void trouble(void) {
    char text[160];
    if (find(9, "hang", 0, text)) usleep((useconds_t)(atof(text) * 1e6));
    if (find(9, "crash", 0, text)) raise(SIGSEGV);
}
int nvmlDeviceGetPowerUsage(void *c, unsigned *out) { trouble(); return small(c, "power_mw", out); }
int nvmlDeviceGetEnforcedPowerLimit(void *c, unsigned *out) { return small(c, "limit_mw", out); }
int nvmlDeviceGetTemperature(void *c, int sensor, unsigned *out) { return small(c, "temperature", out); }
int nvmlDeviceGetClockInfo(void *c, int kind, unsigned *out) { return small(c, "clock", out); }
int nvmlDeviceGetFanSpeed(void *c, unsigned *out) { return small(c, "fan", out); }
int nvmlDeviceGetCurrentClocksEventReasons(void *c, u64 *out) { return number(c, "events", out); }
int nvmlDeviceGetComputeRunningProcesses_v3(void *c, unsigned *n, process_t *out) { return processes(c, "compute", n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *c, unsigned *n, process_t *out) { return processes(c, "graphics", n, out); }
int nvmlDeviceGetCurrPcieLinkGeneration(void *c, unsigned *out) { return small(c, "pcie_generation", out); }
int nvmlDeviceGetCurrPcieLinkWidth(void *c, unsigned *out) { return small(c, "pcie_width", out); }
int nvmlDeviceGetPcieThroughput(void *c, int way, unsigned *out) { return small(c, way ? "pcie_rx_kb" : "pcie_tx_kb", out); }
int nvmlDeviceGetTemperatureThreshold(void *c, int which, unsigned *out) { return small(c, "slowdown", out); }
int nvmlDeviceGetPowerManagementLimitConstraints(void *c, unsigned *low, unsigned *high) { *low = 0; return small(c, "power_max_mw", high); }
int nvmlDeviceGetMigMode(void *c, unsigned *now, unsigned *next) { int s = small(c, "mig", now); *next = *now = !s; return s; }
int nvmlDeviceGetMaxMigDeviceCount(void *c, unsigned *out) { return small(c, "mig", out); }
int nvmlDeviceGetMigDeviceHandleByIndex(void *c, unsigned i, void **out) {
    char text[160]; u64 part = 20 + 10 * ((u64)c - 1) + i;
    *out = (void *)(part + 1);
    return find(part, "name", 0, text) ? 0 : 6;
}
typedef struct { void *device; u64 type, data; unsigned gi, ci; } event_t;
static void *registered[8];
static int registrations;
int nvmlEventSetCreate(void **out) { registrations = 0; *out = (void *)1; return 0; }
int nvmlEventSetFree(void *set) { return 0; }
int nvmlDeviceRegisterEvents(void *c, u64 types, void *set) {
    char text[160];
    if (find((u64)c - 1, "no_events", 0, text)) return 3;
    registered[registrations++ % 8] = c;
    return 0;
}
int nvmlEventSetWait_v2(void *set, event_t *out, unsigned ms) {
    char text[160];
    for (int i = 0; i < registrations && i < 8; i++)
        if (find((u64)registered[i] - 1, "xid", 0, text)) {
            out->device = registered[i]; out->type = 8; out->data = strtoull(text, NULL, 10);
            usleep(200000);
            return 0;
        }
    usleep(ms > 200 ? 200000 : ms * 1000);
    return 10;
}
