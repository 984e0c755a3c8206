"""Which IANA zones lie in which region (ISO 3166-2), for countries that have several.

Covered: AU, BR, CA, CD, CL, EC, ES, ID, KZ, MN, MX, NZ, PT, RU, US. For each of them, every zone that the tz
database gives the country has its regions here, so that zones which part ways in a later release stay right. A
region on a border has all zones that are lawful somewhere in it. Other countries need no table, or are small enough
that all their zones together do no harm: there the country decides.

Sources: the comments in the tz database's `zone.tab`; for the United States, 49 CFR part 71. Compared with the zones
and first-level divisions of the towns in GeoNames, and with the codes in ISO 3166-2 as of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REGIONS_OF_ZONE"]

REGIONS_OF_ZONE: Mapping[str, Mapping[str, str]] = {
    "AU": {
        "Antarctica/Macquarie": "TAS",
        "Australia/Adelaide": "SA",
        "Australia/Brisbane": "QLD",
        "Australia/Broken_Hill": "NSW",
        "Australia/Darwin": "NT",
        "Australia/Eucla": "WA",
        "Australia/Hobart": "TAS",
        "Australia/Lindeman": "QLD",
        "Australia/Lord_Howe": "NSW",
        "Australia/Melbourne": "VIC",
        "Australia/Perth": "WA",
        "Australia/Sydney": "ACT NSW",
    },
    "BR": {
        "America/Araguaina": "TO",
        "America/Bahia": "BA",
        "America/Belem": "AP PA",
        "America/Boa_Vista": "RR",
        "America/Campo_Grande": "MS",
        "America/Cuiaba": "MT",
        "America/Eirunepe": "AM",
        "America/Fortaleza": "CE MA PB PI RN",
        "America/Maceio": "AL SE",
        "America/Manaus": "AM",
        "America/Noronha": "PE",
        "America/Porto_Velho": "RO",
        "America/Recife": "PE",
        "America/Rio_Branco": "AC",
        "America/Santarem": "PA",
        "America/Sao_Paulo": "DF ES GO MG PR RJ RS SC SP",
    },
    "CA": {
        "America/Atikokan": "NU ON",
        "America/Blanc-Sablon": "QC",
        "America/Cambridge_Bay": "NU",
        "America/Creston": "BC",
        "America/Dawson": "YT",
        "America/Dawson_Creek": "BC",
        "America/Edmonton": "AB BC NT SK",
        "America/Fort_Nelson": "BC",
        "America/Glace_Bay": "NS",
        "America/Goose_Bay": "NL",
        "America/Halifax": "NS PE QC",
        "America/Inuvik": "NT",
        "America/Iqaluit": "NU",
        "America/Moncton": "NB",
        "America/Rankin_Inlet": "NU",
        "America/Regina": "SK",
        "America/Resolute": "NU",
        "America/St_Johns": "NL",
        "America/Swift_Current": "SK",
        "America/Toronto": "ON QC",
        "America/Vancouver": "BC",
        "America/Whitehorse": "YT",
        "America/Winnipeg": "MB ON",
    },
    "CD": {
        "Africa/Kinshasa": "BC EQ KG KL KN MN MO NU SU TU",
        "Africa/Lubumbashi": "BU HK HL HU IT KC KE KS LO LU MA NK SA SK TA TO",
    },
    "CL": {
        "America/Coyhaique": "AI",
        "America/Punta_Arenas": "MA",
        "America/Santiago": "AN AP AR AT BI CO LI LL LR ML NB RM TA VS",
        "Pacific/Easter": "VS",
    },
    "EC": {
        "America/Guayaquil": "A B C D E F G H I L M N O P R S SD SE T U X Y Z",
        "Pacific/Galapagos": "W",
    },
    "ES": {
        "Africa/Ceuta": "CE ML",
        "Atlantic/Canary": "CN GC TF",
        "Europe/Madrid": (
            "AN AR AS CB CL CM CT EX GA IB MC MD NC PV RI VC "  # autonomous communities, then provinces
            "A AB AL AV B BA BI BU C CA CC CO CR CS CU GI GR GU H HU J L LE LO LU M MA MU NA O OR P PM PO S SA SE SG "
            "SO SS T TE TO V VA VI Z ZA"
        ),
    },
    "ID": {  # provinces, and the islands (JW KA ML NU PP SL SM) that ISO 3166-2 codes as well
        "Asia/Jakarta": "AC BB BE BT JA JB JI JK JT JW KR LA RI SB SM SS SU YO",
        "Asia/Jayapura": "MA ML MU PA PB PD PE PP PS PT",
        "Asia/Makassar": "BA GO KA KI KS KU NB NT NU SA SG SL SN SR ST",
        "Asia/Pontianak": "KA KB KT",
    },
    "KZ": {
        "Asia/Almaty": "10 11 19 31 33 35 55 59 61 62 63 71 75 79",
        "Asia/Aqtau": "47",
        "Asia/Aqtobe": "15",
        "Asia/Atyrau": "23",
        "Asia/Oral": "27",
        "Asia/Qostanay": "39",
        "Asia/Qyzylorda": "43",
    },
    "MN": {  # 057 and 065: the sources disagree, so both
        "Asia/Hovd": "043 046 057 065 071",
        "Asia/Ulaanbaatar": "1 035 037 039 041 047 049 051 053 055 057 059 061 063 064 065 067 069 073",
    },
    "MX": {  # DIF: the code of CMX before 2016
        "America/Bahia_Banderas": "NAY",
        "America/Cancun": "ROO",
        "America/Chihuahua": "CHH",
        "America/Ciudad_Juarez": "CHH",
        "America/Hermosillo": "SON",
        "America/Matamoros": "COA NLE TAM",
        "America/Mazatlan": "BCS NAY SIN",
        "America/Merida": "CAM YUC",
        "America/Mexico_City": "AGU CHP CMX COL DIF GRO GUA HID JAL MEX MIC MOR OAX PUE QUE SLP TAB TLA VER ZAC",
        "America/Monterrey": "COA DUR NLE TAM",
        "America/Ojinaga": "CHH",
        "America/Tijuana": "BCN",
    },
    "NZ": {
        "Pacific/Auckland": "AUK BOP CAN GIS HKB MBH MWT NSN NTL OTA STL TAS TKI WGN WKO WTC",
        "Pacific/Chatham": "CIT",
    },
    "PT": {
        "Atlantic/Azores": "20",
        "Atlantic/Madeira": "30",
        "Europe/Lisbon": "01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18",
    },
    "RU": {
        "Asia/Anadyr": "CHU",
        "Asia/Barnaul": "AL ALT",
        "Asia/Chita": "ZAB",
        "Asia/Irkutsk": "BU IRK",
        "Asia/Kamchatka": "KAM",
        "Asia/Khandyga": "SA",
        "Asia/Krasnoyarsk": "KK KYA TY",
        "Asia/Magadan": "MAG",
        "Asia/Novokuznetsk": "KEM",
        "Asia/Novosibirsk": "NVS",
        "Asia/Omsk": "OMS",
        "Asia/Sakhalin": "SAK",
        "Asia/Srednekolymsk": "SA SAK",
        "Asia/Tomsk": "TOM",
        "Asia/Ust-Nera": "SA",
        "Asia/Vladivostok": "KHA PRI SA YEV",
        "Asia/Yakutsk": "AMU SA",
        "Asia/Yekaterinburg": "BA CHE KGN KHM ORE PER SVE TYU YAN",
        "Europe/Astrakhan": "AST",
        "Europe/Kaliningrad": "KGD",
        "Europe/Kirov": "KIR",
        "Europe/Moscow": (
            "AD ARK BEL BRY CE CU DA IN IVA KB KC KDA KL KLU KO KOS KR KRS LEN LIP ME MO MOS MOW MUR NEN NGR NIZ ORL "
            "PNZ PSK ROS RYA SE SMO SPE STA TA TAM TUL TVE VLA VLG VOR YAR"
        ),
        "Europe/Samara": "SAM UD",
        "Europe/Saratov": "SAR",
        "Europe/Ulyanovsk": "ULY",
        "Europe/Volgograd": "VGG",
    },
    "US": {
        "America/Adak": "AK",
        "America/Anchorage": "AK",
        "America/Boise": "ID OR",
        "America/Chicago": "AL AR FL IA IL IN KS KY LA MI MN MO MS ND NE OK SD TN TX WI",
        "America/Denver": "AZ CO KS MT ND NE NM NV SD TX UT WY",
        "America/Detroit": "MI",
        "America/Indiana/Indianapolis": "IN",
        "America/Indiana/Knox": "IN",
        "America/Indiana/Marengo": "IN",
        "America/Indiana/Petersburg": "IN",
        "America/Indiana/Tell_City": "IN",
        "America/Indiana/Vevay": "IN",
        "America/Indiana/Vincennes": "IN",
        "America/Indiana/Winamac": "IN",
        "America/Juneau": "AK",
        "America/Kentucky/Louisville": "IN KY",
        "America/Kentucky/Monticello": "KY",
        "America/Los_Angeles": "CA ID NV OR WA",
        "America/Menominee": "MI",
        "America/Metlakatla": "AK",
        "America/New_York": "CT DC DE FL GA IN KY MA MD ME NC NH NJ NY OH PA RI SC TN VA VT WV",
        "America/Nome": "AK",
        "America/North_Dakota/Beulah": "ND",
        "America/North_Dakota/Center": "ND",
        "America/North_Dakota/New_Salem": "ND",
        "America/Phoenix": "AZ",
        "America/Puerto_Rico": "PR VI",  # AS GU MP PR UM VI: regions here, and countries of their own to ISO 3166-1
        "America/Sitka": "AK",
        "America/Yakutat": "AK",
        "Pacific/Guam": "GU MP",
        "Pacific/Honolulu": "HI",
        "Pacific/Midway": "UM",
        "Pacific/Pago_Pago": "AS",
        "Pacific/Wake": "UM",
    },
}
"""Country, to zone, to the regions (without the country's prefix, parted by spaces) in which it is in use."""
